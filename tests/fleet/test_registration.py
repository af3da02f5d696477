"""Which clusters are registered, by which credentials, and what is said about the rest."""

from pathlib import Path

from controlplane.members import registrations
from controlplane.resources.meta import ObjectMeta
from controlplane.resources.secret import Secret
from tests.fleet.conftest import secret

KUBECONFIG = "clusters: []"


def stored(name: str, cluster: str, kubeconfig: str = KUBECONFIG, created: str = "2026-01-01") -> Secret:
    made = secret(name, cluster, kubeconfig, created)
    labels = made["metadata"]["labels"]
    meta = ObjectMeta(name=name, namespace="clusters", labels=labels, creation_timestamp=created)
    return Secret(meta, data=made["data"])


def by_key(*secrets: Secret) -> dict[str, Secret]:
    return {f"clusters/{secret.metadata.name}": secret for secret in secrets}


def test_flags_and_secrets_register_members() -> None:
    found, problems = registrations({"a": Path("a.kubeconfig")}, by_key(stored("s", "b")))
    assert found["a"].kubeconfig == Path("a.kubeconfig")
    assert found["b"].kubeconfig == {"clusters": []}
    assert problems == ()


def test_a_flag_wins_over_a_secret_and_the_older_secret_over_the_younger() -> None:
    found, problems = registrations(
        {"a": Path("a.kubeconfig")},
        by_key(
            stored("x", "a"), stored("new", "b", created="2026-02"), stored("old", "b", created="2026-01")
        ),
    )
    assert found["a"].origin == "--member a"
    assert found["b"].origin == "Secret clusters/old"
    assert problems == (
        "Secret clusters/x: cluster a is registered by --member a already; remove one of them",
        "Secret clusters/new: cluster b is registered by Secret clusters/old already; remove one of them",
    )


def test_a_secret_that_cannot_be_used_is_registered_with_its_problem() -> None:
    broken = stored("broken", "a", "users: [s3cret")
    empty = Secret(stored("empty", "b").metadata)
    no_base64 = Secret(stored("odd", "c").metadata, data={"kubeconfig": "%%%"})
    found, _ = registrations({}, by_key(broken, empty, no_base64))
    assert "no valid YAML" in found["a"].problem
    assert "has no data key kubeconfig" in found["b"].problem
    assert "no valid base64" in found["c"].problem
    assert "s3cret" not in found["a"].problem


def test_a_registration_never_shows_its_kubeconfig() -> None:
    found, _ = registrations({}, by_key(stored("s", "a", "users: s3cret")))
    assert "s3cret" not in repr(found)
