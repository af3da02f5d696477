"""`--apply`: a manifest that cannot be read ends the start with one line."""

from pathlib import Path

import pytest

from controlplane.embedded.cluster import Cluster
from controlplane.embedded.startup import ManifestError, apply_paths


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "- " * 5_000, "[" * 5_000 + "]" * 5_000], ids=["[", "- ", "[]"]
)
def test_a_deeply_nested_manifest_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text(text)
    with pytest.raises(ManifestError, match=r"--apply .*deep\.yaml: cannot be read: nested too deeply"):
        apply_paths(Cluster("fleet"), [path])
