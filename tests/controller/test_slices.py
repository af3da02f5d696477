"""Which endpoint slices a service should have for its pods."""

from typing import Any

from controlplane.embedded.workloads.slices import desired

Object = dict[str, Any]


def service(**spec: object) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {
        "metadata": {"name": "service1", "namespace": "web-demo"},
        "spec": {"selector": {"app": "web-demo"}, "ports": ports, **spec},
    }


def pod(name: str, *, ready: bool = True, terminating: bool = False, **metadata: object) -> Object:
    meta: Object = {
        "name": name,
        "namespace": "web-demo",
        "uid": name,
        "labels": {"app": "web-demo"},
        **metadata,
    }
    if terminating:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {
        "metadata": meta,
        "spec": {"nodeName": "n", "containers": [{"ports": [{"name": "web", "containerPort": 8080}]}]},
        "status": {
            "phase": "Running",
            "podIP": f"127.64.0.{len(name)}",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def conditions(item: Object) -> Object:
    ((_, (endpoint,)),) = desired(service(), [item])
    found: Object = endpoint["conditions"]
    return found


def test_a_ready_pod_may_serve() -> None:
    assert conditions(pod("a")) == {"ready": True, "serving": True, "terminating": False}


def test_a_terminating_pod_is_not_ready_but_serves_until_it_fails() -> None:
    assert conditions(pod("a", terminating=True)) == {"ready": False, "serving": True, "terminating": True}
    failed = pod("a", ready=False, terminating=True)
    assert conditions(failed) == {"ready": False, "serving": False, "terminating": True}


def test_an_endpoint_names_its_pod() -> None:
    ((ports, (endpoint,)),) = desired(service(), [pod("web-demo-1")])
    assert ports == (("http", 8080, "TCP", ""),)
    assert endpoint["addresses"] == ["127.64.0.10"]
    assert endpoint["targetRef"] == {
        "kind": "Pod",
        "namespace": "web-demo",
        "name": "web-demo-1",
        "uid": "web-demo-1",
    }


def test_pods_of_other_labels_namespaces_or_without_an_address_are_left_out() -> None:
    other = [
        pod("a", labels={"app": "other"}),
        pod("b", namespace="other"),
        {**pod("c"), "status": {"phase": "Pending"}},
        {**pod("d"), "status": {"phase": "Failed", "podIP": "127.64.0.9"}},
    ]
    assert desired(service(), other) == [((), [])]


def test_named_target_ports_are_looked_up_in_the_pod() -> None:
    named = service(ports=[{"port": 80, "targetPort": "web"}])
    assert [ports for ports, _ in desired(named, [pod("a")])] == [(("", 8080, "TCP", ""),)]


def test_pods_that_listen_elsewhere_have_a_slice_of_their_own() -> None:
    moved = [
        pod(name, annotations={"fleetgate.io/demo-ports": f"8080={port}"})
        for name, port in [("a", 1), ("b", 2)]
    ]
    slices = desired(service(), [*moved, pod("c")])
    assert [(ports[0][1], len(endpoints)) for ports, endpoints in slices] == [(1, 1), (2, 1), (8080, 1)]


def test_a_slice_holds_at_most_100_endpoints() -> None:
    slices = desired(service(), [pod(f"p{number}") for number in range(205)])
    assert [len(endpoints) for _, endpoints in slices] == [100, 100, 5]
