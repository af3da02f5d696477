"""Files to Kubernetes objects, and findings about documents that are none."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
import yaml
from msgspec import field

from controlplane.files.finding import Finding, about_file
from controlplane.files.place import Place, node_at, place_of
from controlplane.files.reading import Text
from controlplane.files.tree import Document, TreeError, documents

_PARTS: Final = ("annotations", "labels")


class Manifest(msgspec.Struct, frozen=True):
    """One object: `value` as JSON has it, `node` and `lines_before` know where it stands."""

    file: str
    value: dict[str, Any]
    node: yaml.Node
    lines_before: int

    @property
    def kind(self) -> str:
        return str(self.value["kind"])

    @property
    def api_version(self) -> str:
        return str(self.value["apiVersion"])

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    def place(self, path: str = "") -> Place:
        return place_of(path, self.node, self.file, self.lines_before)


class Manifests(msgspec.Struct):
    """All objects of some files in the order they stand there."""

    files: int = 0
    objects: list[Manifest] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read_manifests(texts: Iterable[Text]) -> Manifests:
    """Return the objects of all files; an unreadable document becomes a finding."""
    manifests = Manifests()
    for text in texts:
        manifests.files += 1
        try:
            content = text.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            place = Place(text.name, text.content.count(b"\n", 0, error.start) + 1, 1)
            manifests.findings.append(about_file("FG0110", place, problem="is not UTF-8"))
            continue
        for document in documents(content):
            _add(document, text.name, manifests)
    return manifests


def _add(document: Document | TreeError, file: str, manifests: Manifests) -> None:
    if isinstance(document, TreeError):
        place = Place(file, document.line, document.column)
        manifests.findings.append(about_file("FG0110", place, problem=document))
        return
    for name, at in document.repeated:
        mark = at.start_mark
        place = Place(file, document.lines_before + mark.line + 1, mark.column + 1)
        manifests.findings.append(about_file("FG0112", place, field=name))
    for value, node in _items(document.value, document.node):
        manifest = Manifest(file, value, node, document.lines_before)
        problem = _missing(value)
        if problem:
            manifests.findings.append(about_file("FG0111", manifest.place(), problem=problem))
        else:
            manifests.findings += _make_textual(manifest)
            manifests.objects.append(manifest)


def _items(value: Any, node: yaml.Node) -> Iterator[tuple[Any, yaml.Node]]:
    """Yield the objects of a document: itself, or the items of a List or IngressList."""
    kind = value.get("kind") if isinstance(value, dict) else None
    items = value.get("items") if isinstance(kind, str) and kind.endswith("List") else None
    listed = node_at("items", node)
    if not isinstance(items, list) or not isinstance(listed, yaml.SequenceNode):
        yield value, node
        return
    inherited = {} if kind == "List" else {"apiVersion": value.get("apiVersion"), "kind": str(kind)[:-4]}
    for item, at in zip(items, listed.value, strict=True):
        yield from _items({**inherited, **item} if isinstance(item, dict) else item, at)


def _missing(value: Any) -> str:
    """Return why `value` is no object, "" when it is one."""
    if not isinstance(value, dict):
        return "is not a mapping"
    for key in ("apiVersion", "kind"):
        if not isinstance(value.get(key), str) or not value[key]:
            return f"{key} is missing"
    if str(value["kind"]).endswith("List") and "items" in value:
        return ""
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        return "metadata is missing"
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        return "metadata.name is missing" if name in (None, "") else "metadata.name is not text"
    namespace = metadata.get("namespace")
    return "" if namespace is None or isinstance(namespace, str) else "metadata.namespace is not text"


def _make_textual(manifest: Manifest) -> list[Finding]:
    """Make annotations and labels text, as was meant, so that their values can be judged too."""
    found: list[Finding] = []
    metadata = manifest.value.get("metadata", {})
    for part in _PARTS:
        mapping = metadata.get(part)
        for key, value in mapping.items() if isinstance(mapping, dict) else ():
            if isinstance(value, str) or value is None:
                continue
            path = f"metadata.{part}[{key}]"
            node = node_at(path, manifest.node)
            text = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
            found.append(
                about_file(
                    "FG0114",
                    manifest.place(path),
                    object=f"{manifest.kind} {metadata['name']}",
                    field=path,
                    value=text,
                    type=_type(value),
                    quoted=f"'{text}'",
                )
            )
            mapping[key] = text
    return found


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else "no text"
