"""Label and field selectors."""

import pytest

from controlplane.embedded.selectors import SelectorError, parse_fields, parse_labels

LABELS = {"app": "web", "tier": "front", "example.com/x": "1", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app!=web", False),
        ("missing!=web", True),
        ("app in (web, api)", True),
        ("app notin (web)", False),
        ("missing notin (web)", True),
        ("app", True),
        ("!app", False),
        ("!missing , app in (web)", True),
        ("example.com/x>0", True),
        ("example.com/x<1", False),
        ("empty=", True),
        ("empty in ()", True),
        ("app in (web),tier in (back,front)", True),
    ],
)
def test_label_selectors_match_as_kubernetes_says(text: str, matches: bool) -> None:
    assert parse_labels(text).matches(LABELS) is matches


@pytest.mark.parametrize("text", ["a in (", "a in b", "=x", "a=b c", "a,,b", "a=b,", "-a=b", "a=!"])
def test_malformed_label_selectors_are_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_labels(text)


def test_field_selectors_compare_and_unescape() -> None:
    selector = parse_fields(r"metadata.name=a\,b,type!=Opaque")
    assert selector.terms == (("metadata.name", "a,b", True), ("type", "Opaque", False))
    assert selector.exact("metadata.name") == "a,b"
    assert selector.matches({"metadata.name": "a,b", "type": "x"}.__getitem__)
    with pytest.raises(SelectorError):
        parse_fields("nothing")
