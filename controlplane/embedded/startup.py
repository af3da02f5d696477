"""Objects applied when a server starts: `--apply FILE_OR_DIR`, the way any client's create goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from controlplane.embedded.api.options import WriteOptions
from controlplane.embedded.cluster import Cluster
from controlplane.embedded.errors import ApiError
from controlplane.embedded.writing.intake import Write


class ManifestError(Exception):
    """A manifest that cannot be read or applied; the message is one line."""


def apply_paths(cluster: Cluster, paths: Sequence[Path]) -> None:
    """Creates every object of the files, in order; directories are read by file name."""
    for path in paths:
        for file in _files(path):
            for obj in _objects(file):
                _create(cluster, file, obj)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml", ".json"))
    if not path.is_file():
        raise ManifestError(
            f"--apply {path}: no such file or directory; give a manifest or a directory of them"
        )
    return [path]


def _objects(file: Path) -> Iterator[dict[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(file.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ManifestError(f"--apply {file}: cannot be read: {' '.join(str(error).split())}") from None
    except RecursionError:  # PyYAML's own parser, in Python, has no limit
        raise ManifestError(f"--apply {file}: cannot be read: nested too deeply") from None
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict) or not document.get("kind"):
            raise ManifestError(f"--apply {file}: not a Kubernetes object: 'kind' is missing")
        yield from document["items"] if document["kind"] == "List" else (document,)


def _create(cluster: Cluster, file: Path, obj: dict[str, Any]) -> None:
    kind, name = obj.get("kind", ""), (obj.get("metadata") or {}).get("name", "")
    resource = cluster.registry.find_kind(obj.get("apiVersion", ""), kind)
    if resource is None:
        raise ManifestError(f"--apply {file}: {kind} {name}: {obj.get('apiVersion')} {kind} is not served")
    namespace = (obj.get("metadata") or {}).get("namespace") or "default"
    write = Write(resource, namespace if resource.namespaced else "", WriteOptions(manager="kubectl-create"))
    try:
        cluster.writer.create(write, obj)
    except ApiError as error:
        raise ManifestError(f"--apply {file}: {kind} {name}: {error.message}") from None
