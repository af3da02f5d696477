"""Request bodies that are meant to harm."""

import json

import pytest

from controlplane.embedded.api.body import decode_yaml
from controlplane.embedded.errors import ApiError


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 100_000], ids=["[", "- ", "{"])
def test_deep_yaml_is_refused_before_it_ends_the_process(text: str) -> None:
    with pytest.raises(ApiError, match="nested too deeply"):
        decode_yaml(text.encode())


def test_a_body_that_is_no_yaml_is_still_told_as_such() -> None:
    with pytest.raises(ApiError, match="error converting YAML to JSON"):
        decode_yaml(b"a: [")


def test_deep_but_not_too_deep() -> None:
    deep = "[" * 100 + "]" * 100
    assert json.dumps(decode_yaml(deep.encode())[0]) == deep
