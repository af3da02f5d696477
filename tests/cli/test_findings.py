"""`fleetgate explain CODE`, and the page made from the same tables."""

import json

import pytest
from click.testing import CliRunner, Result

from controlplane.cli.explain import command
from controlplane.cli.findings import ENTRIES
from controlplane.cli.findings_doc import PATH, document
from controlplane.translate.guide.pages import PAGES


def run(*args: str) -> Result:
    return CliRunner().invoke(command, args)


def test_the_page_is_what_the_tables_say() -> None:
    assert PATH.read_text() == document(), "stale: run make docs"


def test_the_page_has_every_code_once() -> None:
    page = document()
    assert [code for code in ENTRIES if page.count(f"### {code}: ") != 1] == []


@pytest.mark.parametrize("code", ["FG0307", "fg0307"])
def test_a_code_is_explained(code: str) -> None:
    done = run(code)
    assert done.exit_code == 0
    first, *facts = done.output.splitlines()
    assert first == "FG0307 warning, reason of the Event: ListenerNotFound"
    page = PAGES["FG0307"]
    assert facts == [
        "  says     the rules are served over HTTP only: <cause>",
        f"  cause    {page.cause}",
        f"  example  {page.example}",
        f"  fix      {page.fix}",
    ]


def test_values_of_a_finding_are_placeholders() -> None:
    assert "IngressClass <name> does not exist; the Ingress is not served" in run("FG0101").output


def test_json_has_the_same() -> None:
    found = json.loads(run("FG0112", "-o", "json").output)
    assert (found["kind"], found["code"], found["level"]) == ("Finding", "FG0112", "warning")
    assert found["example"] == PAGES["FG0112"].example


@pytest.mark.parametrize(
    ("word", "said"), [("FG0999", "no finding has the code FG0999"), ("GET", "GET needs a URL")]
)
def test_other_words_are_wrong_usage(word: str, said: str) -> None:
    done = run(word)
    assert done.exit_code == 2
    assert said in done.output
