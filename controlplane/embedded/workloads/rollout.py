"""How many pods each replica set of a deployment should have: the rolling update, as numbers."""

import hashlib
import json
import math

import msgspec

from controlplane.embedded.workloads.apiclient import Object

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' own: spells no words
_DEFAULT_BOUND = "25%"


class Limits(msgspec.Struct, frozen=True):
    """`surge`: pods above the wanted number; `unavailable`: how many of it may be missing."""

    surge: int
    unavailable: int
    recreate: bool = False


class SetCount(msgspec.Struct, frozen=True):
    """A replica set: pods asked for, pods available, pods that exist in any state."""

    wanted: int
    available: int
    existing: int


class Plan(msgspec.Struct, frozen=True):
    new: int
    old: tuple[int, ...]


def template_hash(template: Object) -> str:
    """Return the name of a pod template: equal templates have equal names."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:10])


def limits(spec: Object) -> Limits:
    """Return the bounds of a deployment's strategy; percentages round as Kubernetes rounds them."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Limits(0, 0, recreate=True)
    rolling = strategy.get("rollingUpdate") or {}
    replicas = int(spec.get("replicas", 1))
    surge = math.ceil(_bound(rolling.get("maxSurge", _DEFAULT_BOUND), replicas))
    unavailable = math.floor(_bound(rolling.get("maxUnavailable", _DEFAULT_BOUND), replicas))
    if surge == 0 and unavailable == 0:
        unavailable = 1  # without room nothing could ever be replaced
    return Limits(surge, unavailable)


def _bound(value: object, replicas: int) -> float:
    text = str(value)
    return int(text[:-1]) * replicas / 100 if text.endswith("%") else float(text)


def plan(replicas: int, new: SetCount, old: tuple[SetCount, ...], bounds: Limits) -> Plan:
    """Return the next step from old sets (oldest first) to the new one."""
    if bounds.recreate:
        gone = all(each.existing == 0 for each in old)
        return Plan(replicas if gone else 0, (0,) * len(old))
    asked_old = sum(each.wanted for each in old)
    room = max(0, replicas + bounds.surge - new.wanted - asked_old)
    target = replicas if new.wanted > replicas else min(replicas, new.wanted + room)
    return Plan(target, _shrink(replicas, new, old, bounds))


def _shrink(replicas: int, new: SetCount, old: tuple[SetCount, ...], bounds: Limits) -> tuple[int, ...]:
    """Take as many pods from the old sets as availability allows; pods that do not serve go first."""
    available = new.available + sum(each.available for each in old)
    spare = max(0, available - max(0, replicas - bounds.unavailable))
    counts = []
    for each in old:
        idle = max(0, each.wanted - each.available)
        taken = min(each.wanted - idle, spare)
        spare -= taken
        counts.append(each.wanted - idle - taken)
    return tuple(counts)
