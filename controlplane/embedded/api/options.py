"""Query parameters and DeleteOptions, read once per request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from controlplane.embedded.causes import forbidden_field, invalid_value, not_supported
from controlplane.embedded.errors import Cause, bad_request, invalid
from controlplane.embedded.selectors import FieldSelector, Selector, SelectorError, parse_fields, parse_labels

_META = "meta.k8s.io"


def truth(value: str | None) -> bool:
    """Boolean parameters: an empty value means true, as in Go's query decoding."""
    return value is not None and value.lower() not in ("false", "0", "f")


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


class WriteOptions(msgspec.Struct, frozen=True):
    """`manager` is the fieldManager, or the first word of the User-Agent without one."""

    dry_run: bool = False
    validation: str = "Warn"
    manager: str = "unknown"
    explicit_manager: bool = False
    force: bool = False


def write_options(query: Mapping[str, str], user_agent: str, kind: str) -> WriteOptions:
    """`kind`: CreateOptions, UpdateOptions or PatchOptions, as errors name it."""
    causes: list[Cause] = []
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        causes.append(not_supported("dryRun", [dry_run], ("All",)))
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Ignore", "Strict", "Warn"):
        causes.append(not_supported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn")))
    manager = query.get("fieldManager", "")
    if len(manager) > 128:
        causes.append(Cause("FieldValueTooLong", "fieldManager", "Too long: may not be more than 128 bytes"))
    if causes:
        raise invalid(kind, _META, "", causes)
    fallback = user_agent.partition("/")[0][:128] or "unknown"
    return WriteOptions(
        dry_run=bool(dry_run),
        validation=validation,
        manager=manager or fallback,
        explicit_manager=bool(manager),
        force=truth(query.get("force")),
    )


class ListOptions(msgspec.Struct, frozen=True):
    """Parameters of list and watch; `version` None means the current version."""

    labels: Selector
    fields: FieldSelector
    limit: int = 0
    token: str = ""
    version: int | None = None
    match: str = ""
    watch: bool = False
    timeout: int | None = None
    bookmarks: bool = False
    initial_events: bool | None = None


def list_options(query: Mapping[str, str]) -> ListOptions:
    try:
        labels = parse_labels(query.get("labelSelector", ""))
        fields = parse_fields(query.get("fieldSelector", ""))
    except SelectorError as error:
        raise bad_request(str(error)) from None
    initial = query.get("sendInitialEvents")
    options = ListOptions(
        labels=labels,
        fields=fields,
        limit=max(0, _number(query, "limit") or 0),
        token=query.get("continue", ""),
        version=_version(query.get("resourceVersion", "")),
        match=query.get("resourceVersionMatch", ""),
        watch=truth(query.get("watch")),
        timeout=_number(query, "timeoutSeconds"),
        bookmarks=truth(query.get("allowWatchBookmarks")),
        initial_events=None if initial is None else truth(initial),
    )
    causes = _watch_causes(options) if options.watch else _list_causes(options)
    if causes:
        raise invalid("ListOptions", _META, "", causes)
    return options


def _version(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or not text.isascii():
        detail = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise invalid("ListOptions", _META, "", [invalid_value("resourceVersion", text, detail)])
    return int(text)


def _watch_causes(options: ListOptions) -> list[Cause]:
    field = "resourceVersionMatch"
    if options.initial_events is None:
        detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        return [forbidden_field(field, detail)] if options.match else []
    causes = []
    if options.match != "NotOlderThan":
        detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        causes.append(forbidden_field(field, detail))
    if options.initial_events and not options.bookmarks:
        detail = "sendInitialEvents requires allowWatchBookmarks"
        causes.append(forbidden_field("sendInitialEvents", detail))
    return causes


def _list_causes(options: ListOptions) -> list[Cause]:
    causes = []
    field = "resourceVersionMatch"
    if options.initial_events is not None:
        causes.append(forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if not options.match:
        return causes
    if options.match not in ("Exact", "NotOlderThan"):
        return [*causes, not_supported(field, options.match, ("Exact", "NotOlderThan", ""))]
    if options.token:
        causes.append(forbidden_field(field, "resourceVersionMatch is forbidden when continue is provided"))
    elif options.version is None:
        detail = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append(forbidden_field(field, detail))
    elif options.match == "Exact" and options.version == 0:
        detail = 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
        causes.append(forbidden_field(field, detail))
    return causes


class DeleteOptions(msgspec.Struct, frozen=True):
    """`policy`: Background, Foreground or Orphan."""

    policy: str = "Background"
    dry_run: bool = False
    uid: str = ""
    version: str = ""


def delete_options(query: Mapping[str, str], body: Any) -> DeleteOptions:
    given: Mapping[str, Any] = body if isinstance(body, dict) else {}
    dry_run = given.get("dryRun") or ([query["dryRun"]] if query.get("dryRun") else [])
    policy = given.get("propagationPolicy") or query.get("propagationPolicy") or ""
    orphan = given.get("orphanDependents", truth(query.get("orphanDependents")))
    causes = []
    if policy not in ("", "Background", "Foreground", "Orphan"):
        detail = ("Background", "Foreground", "Orphan", "nil")
        causes.append(not_supported("propagationPolicy", policy, detail))
    if dry_run not in ([], ["All"]):
        causes.append(not_supported("dryRun", dry_run, ("All",)))
    if causes:
        raise invalid("DeleteOptions", _META, "", causes)
    conditions = given.get("preconditions") or {}
    return DeleteOptions(
        policy=policy or ("Orphan" if orphan else "Background"),
        dry_run=bool(dry_run),
        uid=conditions.get("uid") or "",
        version=conditions.get("resourceVersion") or "",
    )
