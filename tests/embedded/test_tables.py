"""JSONPath of printer columns, ages, and cells."""

from typing import Any

import pytest

from controlplane.embedded.tables.columns import COLUMNS
from controlplane.embedded.tables.duration import human_duration
from controlplane.embedded.tables.jsonpath import PathError, find, set_path

OBJ: dict[str, Any] = {
    "spec": {"a": 1, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}], "empty": [], "null": None},
    "metadata": {"annotations": {"example.com/x": "dotted"}},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.a", [1]),
        ("spec.a", [1]),
        ("{.spec.a}", [1]),
        (".spec.missing.deeper", []),
        (".spec.null", []),
        (".spec.list[*].n", ["x", "y"]),
        (".spec.list[0].n", ["x"]),
        (".spec.list[-1].n", ["y"]),
        (".spec.list[0:1].v", [1]),
        ('.spec.list[?(@.n=="y")].v', [2]),
        (".spec.list[?(@.v>1)].n", ["y"]),
        (".spec.list[?(@.missing)].n", []),
        (r".metadata.annotations.example\.com/x", ["dotted"]),
        (".metadata.annotations['example.com/x']", ["dotted"]),
        ("..n", ["x", "y"]),
    ],
)
def test_json_paths(path: str, found: list[Any]) -> None:
    assert find(path, OBJ) == found


def test_a_path_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(PathError):
        find(".spec[", OBJ)


def test_setting_a_path_makes_the_objects_on_the_way() -> None:
    obj: dict[str, Any] = {}
    set_path(obj, ".spec.deep.replicas", 3)
    assert obj == {"spec": {"deep": {"replicas": 3}}}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (119, "119s"), (120, "2m"), (150, "2m30s"), (599, "9m59s"), (600, "10m"), (10799, "179m"),
        (10800, "3h"), (12000, "3h20m"), (28800, "8h"), (172799, "47h"), (172800, "2d"), (180000, "2d2h"),
        (691200, "8d"), (86400 * 700, "700d"), (86400 * 730, "2y"), (86400 * 800, "2y70d"), (-5, "<invalid>"),
    ],
)  # fmt: skip
def test_ages_have_two_units_at_most(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


def _cells(plural: str, obj: dict[str, Any]) -> dict[str, Any]:
    return {column.name: column.read({"metadata": {"name": "n"}, **obj}) for column in COLUMNS[plural]}


def test_service_cells() -> None:
    ports = [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    cells = _cells("services", {"spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1", "ports": ports}})
    assert (cells["External-IP"], cells["Port(s)"]) == ("<pending>", "80:30080/TCP,53/UDP")


def test_ingress_cells() -> None:
    rules = [{"host": f"h{n}"} for n in range(5)]
    status = {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"hostname": "x"}]}}
    cells = _cells("ingresses", {"spec": {"rules": rules, "tls": [{}]}, "status": status})
    shown = (cells["Class"], cells["Hosts"], cells["Address"], cells["Ports"])
    assert shown == ("<none>", "h0,h1,h2 + 2 more...", "1.1.1.1,x", "80, 443")


def test_every_cell_survives_an_empty_object() -> None:
    bare = {"roleRef": {"kind": "Role", "name": "r"}}
    for plural in COLUMNS:
        _cells(plural, bare)
