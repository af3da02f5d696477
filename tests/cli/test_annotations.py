"""`fleetgate annotations` and the page made from the same table."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from controlplane.cli.annotations import DIALECTS, command
from controlplane.cli.annotations_doc import PATH, document
from controlplane.cli.main import main
from controlplane.translate.annotations.registry import PREFIXES, ROWS

WEIGHT = "alb.ingress.kubernetes.io/cluster-weight."


def run(*args: str) -> Result:
    return CliRunner().invoke(command, args)


def test_the_page_is_what_the_table_says() -> None:
    assert PATH.read_text() == document(), "stale: run make docs"


def test_the_page_has_every_spelling_of_every_row() -> None:
    page = document()
    assert [key for row in ROWS for key in row.keys if f"`{key}`" not in page] == []


def test_every_prefix_belongs_to_a_dialect_that_can_be_asked_for() -> None:
    assert {prefix for prefixes in DIALECTS.values() for prefix in prefixes} >= PREFIXES


def test_all_annotations_are_listed_one_a_line() -> None:
    done = run()
    assert done.exit_code == 0
    assert len(done.output.splitlines()) == len(ROWS)
    assert f"{WEIGHT}* " in done.output


@pytest.mark.parametrize("key", [WEIGHT + "cluster-1", "cluster-weight.*", "other.io/cluster-weight.x"])
def test_an_annotation_is_described_under_any_prefix(key: str) -> None:
    done = run(key)
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[0] == "cluster-weight.*"
    assert lines[1] == f"  spelled  {WEIGHT}*"
    assert "  support  works" in lines
    assert any(line.startswith("  allowed  an integer from 0 to 100") for line in lines)


def test_filters() -> None:
    done = run("--dialect", "alb", "--support", "no-effect", "-o", "json")
    document = json.loads(done.output)
    assert document["kind"] == "AnnotationList"
    names = {item["name"]: item["support"] for item in document["items"]}
    assert names["charge-type"] == "no effect"
    assert set(names.values()) == {"no effect"}
    assert all(item["keys"][0].startswith("alb.") for item in document["items"])
    owned = json.loads(run("--dialect", "fleetgate", "-o", "json").output)["items"]
    assert {item["keys"][0].partition("/")[0] for item in owned} == {"fleetgate.io"}


def test_an_unknown_one_is_one_line_with_a_guess() -> None:
    argv = (sys.executable, "-m", "controlplane.cli.main", "annotations", "alb.ingress.kubernetes.io/oder")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "fleetgate: unknown annotation alb.ingress.kubernetes.io/oder, did you mean order?;"
        " fleetgate annotations lists all\n"
    )


def test_a_wrong_filter_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["annotations", "--dialect", "traefik"]).exit_code == 2
