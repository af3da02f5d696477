"""The objects of the fake API server: versions, pages, watches, conflicts."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

Json = dict[str, Any]


class FakeStore:
    """`put` and `delete` are what other clients of the cluster do. One version counter for all kinds."""

    def __init__(self) -> None:
        self.version = 100
        self.objects: defaultdict[str, dict[str, Json]] = defaultdict(dict)
        self.events: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
        self._changed = asyncio.Event()
        self._ended: defaultdict[str, int] = defaultdict(int)
        self._uids = 0

    def put(self, plural: str, item: Json) -> Json:
        """Create or replace an object; name, namespace and uid as given."""
        self.version += 1
        meta = item["metadata"]
        key = f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else meta["name"]
        old = self.objects[plural].get(key)
        if "uid" not in meta:
            self._uids += 1
            meta["uid"] = old["metadata"]["uid"] if old else f"uid-{self._uids}"
        stored: Json = json.loads(json.dumps(item))
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.objects[plural][key] = stored
        self._log(plural, "MODIFIED" if old else "ADDED", stored)
        return stored

    def delete(self, plural: str, key: str) -> None:
        self.version += 1
        item = self.objects[plural].pop(key)
        item["metadata"]["resourceVersion"] = str(self.version)
        self._log(plural, "DELETED", item)

    def bookmark(self, plural: str) -> None:
        self.version += 1
        self._log(plural, "BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def end_watches(self, plural: str) -> None:
        """End the open watches of a kind, cleanly."""
        self._ended[plural] += 1
        self._tell()

    def list(self, plural: str, query: dict[str, str]) -> tuple[int, Json]:
        items = [item for _, item in sorted(self.objects[plural].items()) if _selected(item, query)]
        version, start = str(self.version), 0
        if "continue" in query:
            version, begin = query["continue"].split(":")
            start = int(begin)
        meta: Json = {"resourceVersion": version}
        limit = int(query.get("limit", 0))
        if limit and len(items) > start + limit:
            meta["continue"] = f"{version}:{start + limit}"
        page = items[start : start + limit] if limit else items
        return 200, {"kind": "List", "metadata": meta, "items": page}

    async def watch(self, plural: str, query: dict[str, str]) -> AsyncIterator[bytes]:
        start = query.get("resourceVersion", "")
        last = int(start) if start not in ("", "0") else self.version
        if query.get("sendInitialEvents") == "true":
            for item in self.objects[plural].values():
                yield _line("ADDED", item)
            end = {"k8s.io/initial-events-end": "true"}
            yield _line("BOOKMARK", {"metadata": {"resourceVersion": str(last), "annotations": end}})
        ended = self._ended[plural]
        while ended == self._ended[plural]:
            changed = self._changed
            for version, line in list(self.events[plural]):
                if version > last and _selected(json.loads(line)["object"], query):
                    last = version
                    yield line
            await changed.wait()

    def write(self, verb: str, path: str, body: Json) -> tuple[int, Json]:
        """Get, create, update or patch one object, /status included."""
        status = path.endswith("/status")
        parts = path.removesuffix("/status").strip("/").split("/")
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""
        plural = parts[-1] if verb == "create" else parts[-2]
        name = body["metadata"]["name"] if verb == "create" else parts[-1]
        key = f"{namespace}/{name}" if namespace else name
        old = self.objects[plural].get(key)
        if verb == "create":
            if old is not None:
                return _failure(409, "AlreadyExists", f"{plural} {name} already exists")
            body["metadata"].setdefault("namespace", namespace)
            return 201, self.put(plural, body)
        if old is None:
            return _failure(404, "NotFound", f"{plural} {name} not found")
        if verb == "get":
            return 200, old
        expected = body.get("metadata", {}).get("resourceVersion")
        if expected and expected != old["metadata"]["resourceVersion"]:
            return _failure(409, "Conflict", "the object has been modified")
        new = body if verb == "update" else _merge(old, {"status": body["status"]} if status else body)
        return 200, self.put(plural, new)

    def _log(self, plural: str, kind: str, item: Json) -> None:
        self.events[plural].append((self.version, _line(kind, item)))
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _line(kind: str, item: Json) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def _failure(status: int, reason: str, message: str) -> tuple[int, Json]:
    return status, {"kind": "Status", "code": status, "reason": reason, "message": message}


def _selected(item: Json, query: dict[str, str]) -> bool:
    wanted = query.get("labelSelector", "")
    return not wanted or "metadata" not in item or wanted in item["metadata"].get("labels", {})


def _merge(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged
