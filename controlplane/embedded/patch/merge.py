"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902)."""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer

from controlplane.embedded.schema.decode import copy_json


class PatchError(ValueError):
    """The patch cannot be read (`malformed`) or does not apply to this object."""

    def __init__(self, message: str, *, malformed: bool = False) -> None:
        super().__init__(message)
        self.malformed = malformed


def merge_patch(original: Any, patch: Any) -> Any:
    """RFC 7386 §2; `original` is left as it is."""
    if not isinstance(patch, dict):
        return copy_json(patch)
    result = dict(original) if isinstance(original, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(original: Any, operations: Any) -> Any:
    """RFC 6902; raises PatchError when an operation is malformed, fails or tests false."""
    if not isinstance(operations, list):
        raise PatchError("json patch must be a list of operations", malformed=True)
    if len(operations) > 10000:
        raise PatchError("The allowed maximum operations in a JSON patch is 10000", malformed=True)
    try:
        return jsonpatch.JsonPatch(operations).apply(copy_json(original))
    except jsonpatch.InvalidJsonPatch as error:
        raise PatchError(str(error), malformed=True) from None
    except jsonpatch.JsonPatchTestFailed:
        raise PatchError("the test operation of the JSON patch failed") from None
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError) as error:
        raise PatchError(f"the JSON patch does not apply: {error}") from None
