"""Kubernetes' Status errors: one constructor per reason, with the bodies clients branch on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class Cause(msgspec.Struct, frozen=True):
    """One field error of an Invalid status; `message` is already formed as field.Error does."""

    reason: str
    field: str
    message: str


class ApiError(Exception):
    """An answer other than success; `body()` is the Status object."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            status["details"] = dict(self.details)
        if not self.reason:
            del status["reason"]
        return status


def qualified(plural: str, group: str) -> str:
    """`ingresses.networking.k8s.io`, or only the plural for the core group."""
    return f"{plural}.{group}" if group else plural


def _details(plural: str, group: str, name: str, **more: Any) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if group:
        details["group"] = group
    return {**details, "kind": plural, **more}


def not_found(plural: str, group: str, name: str) -> ApiError:
    return ApiError(
        404,
        "NotFound",
        f'{qualified(plural, group)} "{name}" not found',
        details=_details(plural, group, name),
    )


def unknown_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(plural: str, group: str, name: str) -> ApiError:
    message = f'{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(plural, group, name))


def conflict(plural: str, group: str, name: str, cause: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {cause}'
    return ApiError(409, "Conflict", message, details=_details(plural, group, name))


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def apply_conflict(conflicts: Iterable[tuple[str, str]]) -> ApiError:
    """`conflicts`: pairs of owner, as shown to the user, and field path."""
    pairs = list(conflicts)
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path}
        for who, path in pairs
    ]
    by_owner: dict[str, list[str]] = {}
    for who, path in pairs:
        by_owner.setdefault(who, []).append(path)
    if len(pairs) == 1:
        text = f"1 conflict: conflict with {pairs[0][0]}: {pairs[0][1]}"
    else:
        parts = [f"conflicts with {who}:\n- " + "\n- ".join(paths) for who, paths in sorted(by_owner.items())]
        text = f"{len(pairs)} conflicts: " + "\n".join(parts)
    message = f"Apply failed with {text}"
    return ApiError(409, "Conflict", message, details={"causes": causes})


def invalid(kind: str, group: str, name: str, causes: list[Cause]) -> ApiError:
    shown = [f"{cause.field}: {cause.message}" for cause in dict.fromkeys(causes)]
    text = shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"
    message = f'{qualified(kind, group)} "{name}" is invalid: {text}'
    listed = [
        {"reason": cause.reason, "message": cause.message, "field": cause.field}
        for cause in dict.fromkeys(causes)
    ]
    details = {**_details(kind, group, name), "causes": listed}
    return ApiError(422, "Invalid", message, details=details)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def forbidden(plural: str, group: str, name: str, cause: str, **details: Any) -> ApiError:
    subject = f'{qualified(plural, group)} "{name}" is forbidden: ' if plural else "forbidden: "
    return ApiError(
        403,
        "Forbidden",
        subject + cause,
        details=_details(plural, group, name, **details) if plural else None,
    )


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, details={})


def not_acceptable(accepted: Iterable[str]) -> ApiError:
    message = f"only the following media types are accepted: {', '.join(accepted)}"
    return ApiError(406, "NotAcceptable", message)


def unsupported_media_type(accepted: Iterable[str]) -> ApiError:
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(accepted)}"
    )
    return ApiError(415, "UnsupportedMediaType", message)


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def gone(requested: int, oldest: int) -> ApiError:
    return expired(f"too old resource version: {requested} ({oldest})")


def future_version(requested: int, current: int) -> ApiError:
    message = f"Timeout: Too large resource version: {requested}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return ApiError(
        504,
        "Timeout",
        message,
        details={"causes": causes, "retryAfterSeconds": 1},
        headers={"Retry-After": "1"},
    )


def too_large() -> ApiError:
    message = "Request entity too large: limit is 3145728"
    return ApiError(413, "RequestEntityTooLarge", message)
