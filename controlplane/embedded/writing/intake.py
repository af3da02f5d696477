"""Makes an object out of a request body: kind check, pruning, unknown fields, names."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import field

from controlplane.embedded.api.options import WriteOptions
from controlplane.embedded.causes import invalid_value, json_text
from controlplane.embedded.errors import bad_request, invalid
from controlplane.embedded.registry.resource import Object, Resource
from controlplane.embedded.schema.builtin_types import builtin_types
from controlplane.embedded.schema.decode import Decoder, WrongType, apply_defaults

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


class Write(msgspec.Struct, frozen=True):
    """One write request; `warnings` go back in Warning headers."""

    resource: Resource
    namespace: str
    options: WriteOptions
    warnings: list[str] = field(default_factory=list)
    duplicates: tuple[str, ...] = ()
    patch: str = ""


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def decode_object(write: Write, body: Any) -> Object:
    """The pruned object in the resource's version, with structural defaults, not yet the strategy's."""
    resource = write.resource
    if not isinstance(body, dict):
        raise bad_request("couldn't get version/kind; json parse error: the body is not an object")
    body = _with_kind(resource, body)
    decoder = Decoder(strict_types=not resource.custom)
    try:
        obj = decoder.decode(resource.schema, {k: v for k, v in body.items() if k != "metadata"})
        metadata = _decode_metadata(body.get("metadata"), decoder)
    except WrongType as error:
        if write.patch:
            cause = invalid_value("patch", json_text(body), str(error))
            raise invalid("", "", "", [cause]) from None
        raise bad_request(_cannot_handle(resource, str(error))) from None
    _report_unknown(write, decoder.unknown)
    head = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    obj.pop("apiVersion", None)
    obj.pop("kind", None)
    obj = {**head, **obj}
    if resource.custom:
        apply_defaults(resource.schema, obj)
    return obj


def _decode_metadata(raw: Any, decoder: Decoder) -> Object:
    strict = Decoder()
    metadata = strict.decode(
        builtin_types()["ObjectMeta"], raw if raw is not None else {}, "metadata", "ObjectMeta"
    )
    decoder.unknown.extend(strict.unknown)
    result: Object = metadata
    return result


def _with_kind(resource: Resource, body: Object) -> Object:
    version, kind = body.get("apiVersion"), body.get("kind")
    if resource.custom and not kind:
        raise bad_request("Object 'Kind' is missing in the body of the request")
    if version not in (None, "", resource.api_version):
        text = (
            f"the API version in the data ({version}) does not match the expected API version "
            f"({resource.api_version})"
        )
        raise bad_request(text)
    if kind not in (None, "", resource.kind):
        text = (
            f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}: kind '
            f"does not match"
        )
        raise bad_request(text)
    return body


def _cannot_handle(resource: Resource, detail: str) -> str:
    return f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {detail}'


def _report_unknown(write: Write, unknown: list[str]) -> None:
    problems = [f'duplicate field "{name}"' for name in write.duplicates]
    problems += [f'unknown field "{name}"' for name in unknown]
    if not problems or write.options.validation == "Ignore":
        return
    if write.options.validation == "Warn":
        write.warnings.extend(dict.fromkeys(problems))
        return
    detail = "strict decoding error: " + ", ".join(dict.fromkeys(problems))
    if write.patch:
        cause = invalid_value("patch", write.patch, detail)
        raise invalid(write.resource.kind, write.resource.group, "", [cause])
    raise bad_request(_cannot_handle(write.resource, detail))


def place(write: Write, obj: Object, name: str = "") -> None:
    """Puts the object into the namespace (and under the name) of the request path."""
    meta = obj["metadata"]
    if not write.resource.namespaced:
        meta.pop("namespace", None)
    else:
        given = meta.get("namespace") or write.namespace
        if given != write.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta["namespace"] = write.namespace
    if name and meta.setdefault("name", name) != name:
        text = f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
        raise bad_request(text)


def stamp(obj: Object, *, generation: bool) -> None:
    """The metadata the server gives a new object."""
    meta = obj["metadata"]
    for name in (
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
        "generation",
    ):
        meta.pop(name, None)
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"][:58] + "".join(secrets.choice(_SUFFIX) for _ in range(5))
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = now()
    if generation:
        meta["generation"] = 1
