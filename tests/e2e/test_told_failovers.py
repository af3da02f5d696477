"""A cluster dies, and kubectl tells on the Ingresses; it comes back, and so does kubectl."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.demo import RunningDemo, running_demo, until

KEY = "fleetgate.io/effective-shares"
SERVICE = "web-demo/service1:80"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RunningDemo]:
    """A demo of its own: what was told lately is not told again."""
    with running_demo(tmp_path, workers=2) as running:
        yield running


def ingress(demo: RunningDemo, name: str) -> dict[str, Any]:
    return demo.get("fleet", f"/apis/networking.k8s.io/v1/namespaces/web-demo/ingresses/{name}")


def shares(demo: RunningDemo, name: str = "web-demo") -> dict[str, Any] | None:
    text = ingress(demo, name)["metadata"].get("annotations", {}).get(KEY)
    return json.loads(text) if text is not None else None


def events(demo: RunningDemo, name: str = "web-demo") -> set[str]:
    """Return the reasons of the Events of an Ingress; kubectl, which takes long, need not ask for them."""
    found = demo.get("fleet", "/api/v1/namespaces/web-demo/events")["items"]
    return {each["reason"] for each in found if each["involvedObject"]["name"] == name}


def described(demo: RunningDemo, reason: str, name: str = "web-demo") -> str:
    """Return the line of an Event as kubectl describes it."""
    text = demo.kubectl("fleet", "-n", "web-demo", "describe", f"ingress/{name}")
    found = re.search(rf"^.*\b{reason}\b.*$", text, re.MULTILINE)
    assert found is not None, text
    return found.group()


def asked(demo: RunningDemo, condition: Any) -> Any:
    for path in ("/svc1", "/default"):
        demo.tally(path, 10)
    return condition()


def test_kubectl_tells_of_a_cluster_that_dies_and_comes_back(fresh: RunningDemo) -> None:
    before = ingress(fresh, "web-demo")
    asked(fresh, lambda: None)
    for pid in fresh.pods("cluster2"):
        os.kill(pid, signal.SIGKILL)
    until(lambda: asked(fresh, lambda: "ClusterFailedOver" in events(fresh)), "an Event")
    line = described(fresh, "ClusterFailedOver")
    assert "Warning" in line
    assert f"cluster-2 does not get its 80 % of service {SERVICE}: " in line
    assert line.endswith("; cluster-1 serves 100 %")
    fresh.kubectl("cluster-2", "-n", "web-demo", "scale", "deployment/web-demo", "--replicas=0")
    until(lambda: bool(shares(fresh) and shares(fresh, "web-demo-default")), "annotations")
    assert shares(fresh) == {
        SERVICE: {
            "cluster-1": {"configured": 20, "effective": 100},
            "cluster-2": {"configured": 80, "effective": 0, "reason": "no_endpoints"},
        }
    }
    assert shares(fresh, "web-demo-default") == {
        SERVICE: {
            "cluster-1": {"configured": 50, "effective": 100},
            "cluster-2": {"configured": 50, "effective": 0, "reason": "no_endpoints"},
        }
    }
    assert shares(fresh, "web-demo-single") is None
    annotated = ingress(fresh, "web-demo")
    assert annotated["spec"] == before["spec"]
    assert annotated["metadata"]["generation"] == before["metadata"]["generation"]
    fresh.kubectl("cluster-2", "-n", "web-demo", "scale", "deployment/web-demo", "--replicas=2")
    until(lambda: asked(fresh, lambda: "ClusterReturned" in events(fresh)), "the other Event", 40)
    line = described(fresh, "ClusterReturned")
    assert "Normal" in line
    assert f"cluster-2 gets its 80 % of service {SERVICE} again after " in line
    assert line.endswith(" 0 lost")
    until(lambda: shares(fresh) is None and shares(fresh, "web-demo-default") is None, "no annotation", 30)
    assert ingress(fresh, "web-demo")["metadata"]["annotations"] == before["metadata"]["annotations"]
