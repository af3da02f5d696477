"""Which clusters are registered, by which credentials, and what is said about the rest."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.resources.meta import ObjectMeta
from controlplane.resources.secret import Secret
from controlplane.sources.registered import NOBODY, Registered, registrations
from controlplane.translate.registrations import MOST_VACANT, TAKES_OVER
from tests.sources.conftest import secret

KUBECONFIG = "clusters: []"


def kubeconfig(server: str) -> str:
    cluster = {"name": "k", "cluster": {"server": server}}
    context = {"name": "c", "context": {"cluster": "k", "user": "u"}}
    return yaml.safe_dump({"current-context": "c", "contexts": [context], "clusters": [cluster]})


def stored(
    name: str,
    cluster: str,
    kubeconfig: str = KUBECONFIG,
    created: str = "2026-01-01",
    **meta: Any,
) -> Secret:
    made = secret(name, cluster, kubeconfig, created)
    labels = made["metadata"]["labels"]
    named = ObjectMeta(
        name=name, namespace="clusters", uid=f"uid-{name}", labels=labels, creation_timestamp=created, **meta
    )
    return Secret(named, data=made["data"])


def by_key(*secrets: Secret) -> dict[str, Secret]:
    return {f"clusters/{secret.metadata.name}": secret for secret in secrets}


def codes(registered: Registered) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in registered.findings:
        found.setdefault(item.name, []).append(item.code)
    return found


def origins(registered: Registered) -> dict[str, str]:
    return {cluster: member.origin for cluster, member in registered.members.items()}


def after(*steps: tuple[Secret, ...]) -> Registered:
    """Register these Secrets, one set after the other."""
    registered = NOBODY
    for step in steps:
        registered = registrations({}, by_key(*step), registered)
    return registered


def test_flags_and_secrets_register_members() -> None:
    registered = registrations({"a": Path("a.kubeconfig")}, by_key(stored("s", "b")))
    assert registered.members["a"].kubeconfig == Path("a.kubeconfig")
    assert registered.members["b"].kubeconfig == {"clusters": []}
    assert registered.findings == ()


def test_a_flag_wins_over_a_secret_and_the_older_secret_over_the_younger() -> None:
    registered = registrations(
        {"a": Path("a.kubeconfig")},
        by_key(
            stored("x", "a"), stored("new", "b", created="2026-02"), stored("old", "b", created="2026-01")
        ),
    )
    assert origins(registered) == {"a": "--member a", "b": "Secret clusters/old"}
    assert codes(registered) == {"x": ["FG0902"], "new": ["FG0902"]}
    told = " ".join(map(str, registered.findings))
    assert "cluster a is registered by --member a already" in told
    assert "cluster b is registered by Secret old already" in told


def test_a_secret_that_cannot_be_used_is_registered_with_its_problem() -> None:
    broken = stored("broken", "a", "users: [s3cret")
    empty = Secret(stored("empty", "b").metadata)
    no_base64 = Secret(stored("odd", "c").metadata, data={"kubeconfig": "%%%"})
    found = registrations({}, by_key(broken, empty, no_base64)).members
    assert "no valid YAML" in found["a"].problem
    assert "has no data key kubeconfig" in found["b"].problem
    assert "no valid base64" in found["c"].problem
    assert "s3cret" not in found["a"].problem


def test_a_registration_never_shows_its_kubeconfig() -> None:
    found = registrations({}, by_key(stored("s", "a", "users: s3cret"))).members
    assert "s3cret" not in repr(found)


def test_an_id_stays_with_the_secret_that_had_it_first_whatever_their_ages() -> None:
    younger, older = stored("first", "a", created="2026-02"), stored("second", "a", created="2026-01")
    registered = after((younger,), (younger, older))
    assert origins(registered) == {"a": "Secret clusters/first"}
    assert codes(registered) == {"second": ["FG0902"]}


def test_a_secret_that_is_created_anew_gets_its_id_back_and_no_other_one_does() -> None:
    first, thief = stored("first", "a"), stored("thief", "a", created="2026-02")
    gone = after((first, thief), (thief,))
    assert origins(gone) == {}
    assert codes(gone) == {"thief": ["FG0903"]}
    (finding,) = gone.findings
    assert (finding.reason, finding.uid, finding.namespace) == ("ClusterTakeover", "uid-thief", "clusters")
    assert "fleetgate.io/takes-over: first" in finding.fix
    anew = stored("first", "a", created="2026-03")
    back = registrations({}, by_key(thief, anew), gone)
    assert origins(back) == {"a": "Secret clusters/first"}
    assert codes(back) == {"thief": ["FG0902"]}


def test_an_operator_hands_an_id_on_by_an_annotation_and_that_is_told() -> None:
    first = stored("first", "a")
    heir = stored("heir", "a", created="2026-02", annotations={TAKES_OVER: "first"})
    both = after((first,), (first, heir))
    assert origins(both) == {"a": "Secret clusters/first"}  # as long as it is there
    assert codes(both) == {"heir": ["FG0902"]}
    alone = registrations({}, by_key(heir), both)
    assert origins(alone) == {"a": "Secret clusters/heir"}
    assert codes(alone) == {"heir": ["FG0904"]}
    plain = registrations({}, by_key(stored("heir", "a", created="2026-02")), alone)
    assert (origins(plain), codes(plain)) == ({"a": "Secret clusters/heir"}, {})


@pytest.mark.parametrize("named", ["", "other", "heir"])
def test_a_takeover_names_the_secret_that_had_the_id(named: str) -> None:
    heir = stored("heir", "a", annotations={TAKES_OVER: named} if named else {})
    registered = after((stored("first", "a"),), (heir,))
    assert origins(registered) == {}
    assert codes(registered) == {"heir": ["FG0903"]}


def test_another_api_server_for_an_id_is_told_until_it_is_the_old_one_again() -> None:
    here, there = kubeconfig("https://here"), kubeconfig("https://there")
    moved = after((stored("s", "a", here),), (), (stored("s", "a", there),))
    assert origins(moved) == {"a": "Secret clusters/s"}
    assert codes(moved) == {"s": ["FG0905"]}
    assert "is now https://there; it was https://here" in str(moved.findings[0])
    assert codes(registrations({}, by_key(stored("s", "a", there)), moved)) == {"s": ["FG0905"]}
    broken = registrations({}, by_key(stored("s", "a", "[")), moved)
    assert registrations({}, by_key(stored("s", "a", there)), broken).owners == moved.owners
    assert codes(registrations({}, by_key(stored("s", "a", here)), moved)) == {}


def test_a_secret_without_an_id_registers_nothing_and_is_told() -> None:
    registered = registrations({}, by_key(stored("s", "")))
    assert (registered.members, codes(registered)) == ({}, {"s": ["FG0901"]})


def test_vacant_ids_are_remembered_up_to_a_bound() -> None:
    registered = NOBODY
    for number in range(MOST_VACANT + 10):
        registered = registrations({}, by_key(stored("s", f"c{number}")), registered)
    assert len(registered.owners) == MOST_VACANT + 1
    assert "c0" not in registered.owners
    assert f"c{MOST_VACANT + 9}" in registered.owners
