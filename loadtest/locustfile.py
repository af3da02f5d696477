"""Load scenarios against the demo, judged by thresholds.

    locust -f loadtest/locustfile.py --headless                     weighted and header, 30 s
    locust -f loadtest/locustfile.py --headless --tags failover     cluster-2 goes to zero pods and returns

The exit code is 1 when more requests fail, or take longer, or clusters get other shares than allowed.
Locust's users wait for their answers (a closed model), so latencies are those of this load, not of a
given arrival rate.
"""

import argparse
import base64
import ipaddress
import json
import socket
import ssl
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
import yaml
from locust import FastHttpUser, constant_throughput, events, tag, task
from locust.env import Environment
from locust.runners import WorkerRunner

HOST = "alb.ingress.alibaba.com"
PATH = "/svc1"
WEIGHTS = {"cluster1": 20, "cluster2": 80}
SCENARIOS = ["weighted", "header"]
FALLEN = "failover at zero"
RUN_TIME_S = 30
USERS = 16
MERGE_PATCH = "application/merge-patch+json"
SETTLE_S = 0.5
"""Seconds from the scale request until the cluster may answer not one more request."""

phase = {"failover": "failover"}


class GatewayUser(FastHttpUser):
    """A client of the gateway on one keep-alive connection. Stats are named "scenario > cluster"."""

    host = "http://127.0.0.1:8001"
    wait_time = constant_throughput(60)
    network_timeout = 5.0
    connection_timeout = 5.0

    @tag("weighted")
    @task
    def weighted(self) -> None:
        self._send("weighted")

    @tag("header")
    @task
    def header(self) -> None:
        self._send("header", headers={"stage": "gray"}, only="cluster2")

    @tag("failover")
    @task(3)
    def failover_get(self) -> None:
        self._send(phase["failover"])

    @tag("failover")
    @task
    def failover_post(self) -> None:
        self._send(phase["failover"], method="POST", data=b"x" * 512)

    def _send(
        self,
        scenario: str,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        only: str = "",
        data: bytes | None = None,
    ) -> None:
        with self.client.request(
            method,
            PATH,
            name=scenario,
            headers={"Host": HOST, **(headers or {})},
            data=data,
            catch_response=True,
        ) as response:
            cluster = next((name for name in WEIGHTS if f"env {name} " in (response.text or "")), "")
            if response.status_code != 200 or not cluster:
                response.failure(f"{response.status_code} {(response.text or '')[:80]}")
                return
            response.request_meta["name"] = f"{scenario} > {cluster}"
            if only and cluster != only:
                response.failure(f"answered by {cluster}")


class Member:
    """The demo's cluster-2, driven through its API server."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        path = "/apis/apps/v1/namespaces/web-demo/deployments/web-demo/scale"
        self._url = cluster["server"] + path
        self._headers = {"Authorization": f"Bearer {user['token']}", "Content-Type": MERGE_PATCH}
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode("ascii")
        trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cadata=authority))
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trust)

    def scale(self, replicas: int) -> int:
        """Set the number of web-demo pods; returns the number before."""
        before = self._request("GET")
        self._request("PATCH", json.dumps({"spec": {"replicas": replicas}}).encode())
        return before

    def _request(self, method: str, body: bytes | None = None) -> int:
        request = urllib.request.Request(self._url, body, self._headers, method=method)
        with self._opener.open(request, timeout=5) as answer:
            return int(json.load(answer)["spec"].get("replicas", 0))


def fail_over(environment: Environment, member: Member, run_time_s: float) -> None:
    """Take cluster-2 to zero pods for the middle third of the run."""
    gevent.sleep(run_time_s / 3)
    replicas = member.scale(0)
    try:
        gevent.sleep(SETTLE_S)
        phase["failover"] = FALLEN
        gevent.sleep(run_time_s / 3 - SETTLE_S)
    finally:
        phase["failover"] = "failover"
        member.scale(replicas)


@events.init_command_line_parser.add_listener
def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-fail-ratio", type=float, default=0.0, help="failed requests, 0 to 1")
    parser.add_argument("--max-p95", type=float, default=100.0, help="95th percentile in milliseconds")
    parser.add_argument("--max-share-deviation", type=float, default=3.0, help="share error in points")
    parser.add_argument(
        "--member-kubeconfig",
        type=Path,
        default=Path(".fleetgate/demo/cluster-2.kubeconfig"),
        help="cluster-2 of the demo, for --tags failover",
    )


@events.init.add_listener
def bound_the_run(environment: Environment, **_: object) -> None:
    """Fill in options that were not given: scenarios, users, and an end. Only this machine may be loaded."""
    options: Any = environment.parsed_options
    if not options.tags:
        environment.tags = SCENARIOS
    options.num_users = options.num_users or USERS
    options.spawn_rate = options.spawn_rate or options.num_users
    options.run_time = options.run_time or RUN_TIME_S
    name = urlsplit(environment.host or GatewayUser.host).hostname or ""
    for *_rest, address in socket.getaddrinfo(name, None):
        if not ipaddress.ip_address(address[0]).is_loopback:
            raise SystemExit(f"host {name} is not this machine; load is sent to loopback addresses only")


@events.test_start.add_listener
def start_failover(environment: Environment, **_: object) -> None:
    options: Any = environment.parsed_options
    if isinstance(environment.runner, WorkerRunner) or "failover" not in (options.tags or ()):
        return
    drill = gevent.spawn(fail_over, environment, Member(options.member_kubeconfig), options.run_time)
    environment.events.test_stop.add_listener(lambda **_: drill.join())


@events.quitting.add_listener
def judge(environment: Environment, **_: object) -> None:
    """Set the exit code by the thresholds and say which were broken."""
    options: Any = environment.parsed_options
    total = environment.stats.total
    broken = []
    if total.num_requests == 0:
        broken.append("no request was made")
    if total.fail_ratio > options.max_fail_ratio:
        broken.append(f"{total.fail_ratio:.4%} of the requests failed, allowed {options.max_fail_ratio:.4%}")
    p95 = total.get_response_time_percentile(0.95)
    if p95 > options.max_p95:
        broken.append(f"95 % of the requests took up to {p95:.0f} ms, allowed {options.max_p95:.0f} ms")
    answers = answers_by_scenario(environment)
    if "failover" in (options.tags or ()) and FALLEN not in answers:
        broken.append("cluster-2 was not taken to zero pods")
    broken += wrong_shares(answers, options.max_share_deviation)
    for reason in broken:
        print(f"threshold broken: {reason}")
    environment.process_exit_code = 1 if broken else 0


def answers_by_scenario(environment: Environment) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for name, _method in environment.stats.entries:
        scenario, _, cluster = name.partition(" > ")
        if cluster:
            entry = environment.stats.entries[name, _method]
            counts.setdefault(scenario, Counter())[cluster] += entry.num_requests
    return counts


def wrong_shares(counts: dict[str, Counter[str]], allowed: float) -> list[str]:
    """Return the faults of the clusters' shares; `allowed` in points."""
    wrong = []
    for scenario, clusters in counts.items():
        expected = {"weighted": WEIGHTS, FALLEN: {"cluster1": 100}}.get(scenario)
        for cluster in WEIGHTS if expected else ():
            share = 100 * clusters[cluster] / clusters.total()
            target = expected.get(cluster, 0) if expected else 0
            tolerance = 0.0 if scenario == FALLEN else allowed
            if abs(share - target) > tolerance:
                wrong.append(f"{scenario}: {cluster} answered {share:.1f} %, expected {target} %")
    return wrong
