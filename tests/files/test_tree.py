"""YAML as kubectl reads it, with the place of everything; an error is said with its line."""

from typing import Any

import pytest

from controlplane.files.place import place_of
from controlplane.files.tree import Document, TreeError, documents


def only(text: str) -> Document:
    (document,) = documents(text)
    assert isinstance(document, Document), document
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: on", {"a": True}),
        ("a: No", {"a": False}),
        ("a: 012", {"a": 10}),
        ("a: 0x1F", {"a": 31}),
        ("a: 1.5", {"a": 1.5}),
        ("a: 12:30", {"a": "12:30"}),  # YAML 1.1 has base 60, Go's has not
        ("a: 2026-11-01", {"a": "2026-11-01"}),
        ("a: .inf", {"a": ".inf"}),
        ("a: 1" + "0" * 5000, {"a": "1" + "0" * 5000}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("80: b", {"80": "b"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ('{"a":\t[1, "\\u00e9"]}', {"a": [1, "é"]}),
    ],
)
def test_values_are_those_of_kubernetes(text: str, value: Any) -> None:
    assert only(text).value == value


def test_empty_documents_are_no_documents() -> None:
    assert list(documents("---\n# nothing\n---\n---\n")) == []


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("a: [1,\nb: 2", 3, 1, "did not find"),
        ("ok: 1\n---\na: 1\n  b: 2\n", 4, 4, "mapping values are not allowed"),
        ("a: !secret b", 1, 4, "the tag !secret has no meaning here"),
        ("? [a]\n: b", 1, 3, "a key must be plain text"),
        ("a: *nowhere", 1, 4, "alias"),
        ("a: &x [*x]", 1, 4, "nested too deeply"),
        ("a: \x01", 1, 1, "control characters"),
        ("[" * 100_000, 1, 201, "nested too deeply"),
        ("[" * 300 + "]" * 300, 1, 201, "nested too deeply"),  # libyaml allows 1,000 levels or more
        ("- " * 1_500, 1, 401, "nested too deeply"),
    ],
)
def test_yaml_that_cannot_be_read_is_said_with_its_place(
    text: str, line: int, column: int, problem: str
) -> None:
    (error,) = [found for found in documents(text) if isinstance(found, TreeError)]
    assert problem in str(error)
    assert (error.line, error.column) == (line, column)


def test_a_broken_document_harms_no_other() -> None:
    found = list(documents("a: 1\n---\nb: [\n---\nc: 3\n"))
    values = [document.value for document in found if isinstance(document, Document)]
    assert values == [{"a": 1}, {"c": 3}]
    assert len(found) == 3


def test_aliases_cannot_grow_without_end() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (error,) = documents("\n".join(lines))
    assert isinstance(error, TreeError)
    assert "more than 1,000,000 values" in str(error)


def test_a_key_written_twice_is_noted_at_its_second_place() -> None:
    document = only("a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert document.value == {"a": {"b": 3, "c": 2}}
    ((name, node),) = document.repeated
    assert (name, node.start_mark.line) == ("b", 3)


INGRESS = """\
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/order: "5"
    alb.ingress.kubernetes.io/cluster-weight.c1: "60"
spec:
  rules:
    - host: a.example.com
      http:
        paths:
          - path: /
          - path: /two
            backend: {service: {name: s, port: {number: 80}}}
"""


@pytest.mark.parametrize(
    ("field", "line", "column"),
    [
        ("", 1, 1),
        ("metadata.name", 2, 3),
        ("metadata.annotations[alb.ingress.kubernetes.io/order]", 4, 5),
        ("metadata.annotations[alb.ingress.kubernetes.io/order][0].type", 4, 5),
        ("metadata.annotations[alb.ingress.kubernetes.io/cluster-weight.*]", 5, 5),
        ("metadata.annotations[alb.ingress.kubernetes.io/clu…", 5, 5),
        ("metadata.annotations[alb.ingress.kubernetes.io/missing]", 3, 3),
        ("spec.rules[0].host", 8, 7),
        ("spec.rules[0].http.paths[1].path", 12, 13),
        ("spec.rules[0].http.paths[1].backend.service.port", 13, 42),
        ("spec.rules[0].http.paths[1].pathType", 12, 13),
        ("spec.rules[7].host", 7, 3),
    ],
)
def test_field_paths_have_a_place(field: str, line: int, column: int) -> None:
    place = place_of(field, only(INGRESS).node, "web.yaml", 10)
    assert str(place) == f"web.yaml:{line + 10}:{column}"
