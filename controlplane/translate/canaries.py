"""Canaries join their bases: several Ingresses together make one route.

A canary by header, query or cookie is a copy of the base's route with its own backends, before the base; a
canary by weight gives its backends to the base's route. Both fall back to the base, never the other way
round. A canary without a base routes nothing. The base belongs to the canary's own namespace, if there is
one; a base of another namespace needs a grant.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import lcm
from typing import Final

import msgspec

from controlplane.translate.annotations.draft import Canary
from controlplane.translate.bases import Bases, base_of, bases_of
from controlplane.translate.grants import NO_GRANTS, Grants
from controlplane.translate.live import Outcome
from controlplane.translate.plan import IngressPlan
from proxy.model.actions import Backend, Destination, Forward, Split, SplitMode
from proxy.model.conditions import Condition
from proxy.model.policies import Policies
from proxy.model.snapshot import Route
from proxy.routing.rank import precedence

_TOTAL: Final = 100
_NO_POLICIES: Final = Policies()


class _Part(msgspec.Struct, frozen=True):
    """A rule of a canary, and the base that it takes traffic of."""

    outcome: Outcome
    plan: IngressPlan
    canary: Canary
    route: Route
    base: Route

    def report(self, code: str, **details: object) -> None:
        value = self.canary.weight if self.canary.condition is None else ""
        self.outcome.findings.add(code, self.canary.field, value, **details)


class Joined(msgspec.Struct, frozen=True):
    """The routes of all Ingresses, those of canaries joined to their bases.

    `idle` are the ids of canaries' routes without a base, which are not among the routes.
    """

    routes: tuple[Route, ...]
    idle: frozenset[str] = frozenset()


def join_canaries(outcomes: Sequence[Outcome], grants: Grants = NO_GRANTS) -> Joined:
    """Join the canaries, and report those that cannot be joined."""
    canaries = [outcome for outcome in outcomes if _canary(outcome) is not None]
    if not canaries:
        return Joined(tuple(route for outcome in outcomes for route in outcome.routes))
    plain = [route for outcome in outcomes if _canary(outcome) is None for route in outcome.routes]
    bases = bases_of(plain, (route for outcome in canaries for route in outcome.routes))
    parts = [part for outcome in canaries for part in _parts(outcome, bases, grants)]
    by_id = {part.route.id: part for part in parts}
    weighted = defaultdict(list)
    for part in sorted(parts, key=lambda part: precedence(part.route)[2:]):
        if part.canary.condition is None:
            weighted[part.base.id].append(part)
    idle = {route.id for outcome in canaries for route in outcome.routes} - by_id.keys()
    return Joined(tuple(_joined(outcomes, by_id, weighted)), frozenset(idle))


def _joined(
    outcomes: Sequence[Outcome], parts: dict[str, _Part], weighted: dict[str, list[_Part]]
) -> Iterator[Route]:
    for outcome in outcomes:
        for route in outcome.routes:
            part = parts.get(route.id)
            if part is not None and part.canary.condition is not None:
                yield _before_base(part, part.canary.condition)
            elif _canary(outcome) is None:
                yield _shared(route, weighted[route.id]) if route.id in weighted else route


def _canary(outcome: Outcome) -> Canary | None:
    return outcome.plan.canary if outcome.plan is not None else None


def _parts(outcome: Outcome, bases: Bases, grants: Grants) -> Iterator[_Part]:
    """Yield each rule of a canary with its base, and report rules that cannot be joined."""
    plan, canary = outcome.plan, _canary(outcome)
    if plan is None or canary is None:
        return
    fields = {planned.id: planned.field for planned in plan.routes}
    for route in outcome.routes:
        base, refused = base_of(route, bases, grants)
        field = fields.get(route.id, "spec")
        place = f"{route.host}{route.path.value}"
        if refused:
            own = route.source.namespace
            outcome.findings.add("FG0711", field, place, namespace=refused, own=own, absence=grants.absence)
        elif base is None:
            outcome.findings.add("FG0702", field, place)
        elif not isinstance(base.action, Forward):
            outcome.findings.add("FG0703", field, place, answering=base.id)
        elif canary.condition is None and not isinstance(route.action, Forward):
            outcome.findings.add("FG0703", field, place, answering=route.id)
        else:
            yield _Part(outcome, plan, canary, route, base)


def _before_base(part: _Part, condition: Condition) -> Route:
    route, base = part.route, part.base
    is_guest = route.source.namespace != base.source.namespace
    action = route.action
    if isinstance(action, Forward):
        backends = tuple(_falling_back(backend, action.split, part) for backend in action.backends)
        balance = action.balance or (base.action.balance if isinstance(base.action, Forward) else None)
        action = Forward(backends, action.split, balance)
    _check_policies(part, _inherited(route.policies))
    return msgspec.structs.replace(
        route,
        ports=base.ports,
        action=action,
        conditions=(*base.conditions, condition),
        policies=_with_own_headers(base.policies, route.policies),
        priority=part.canary.priority,
        order=base.order if is_guest else min(route.order, base.order),
        alias=base.alias,
        tenant=base.source.namespace if is_guest else "",
    )


def _shared(base: Route, parts: Sequence[_Part]) -> Route:
    """Return the base's route with the backends of its canaries by weight."""
    if not isinstance(base.action, Forward):
        return base
    total = next((part.canary.total for part in parts if part.canary.total), _TOTAL)
    joined, left = _within(parts, total)
    shares = _divided(base.action.backends, left)
    for part in joined:
        _check_policies(part, part.route.policies)
        shares += _weighted(part, base.action.split)
    scale = lcm(*(share.denominator for _, share in shares))
    backends = (msgspec.structs.replace(backend, weight=int(share * scale)) for backend, share in shares)
    return msgspec.structs.replace(
        base, action=msgspec.structs.replace(base.action, backends=tuple(backends))
    )


def _divided(backends: Sequence[Backend], weight: int) -> list[tuple[Backend, Fraction]]:
    """Return each backend with its part of a weight."""
    whole = sum(backend.weight for backend in backends)
    return [(backend, Fraction(weight * backend.weight, whole or 1)) for backend in backends]


def _within(parts: Sequence[_Part], total: int) -> tuple[list[_Part], int]:
    """Return the canaries whose weights fit into the total, the oldest first, and the rest for the base."""
    joined: list[_Part] = []
    left = total
    for part in parts:
        if part.canary.total not in (None, total):
            note = f"the older canary of {part.base.id} says that canary-weight-total is {total}"
            part.report("FG0202", note=note)
        if part.canary.weight > left:
            part.report("FG0704", base=part.base.id, sum=total - left + part.canary.weight, total=total)
        elif part.canary.weight:
            joined.append(part)
            left -= part.canary.weight
    return joined, left


def _weighted(part: _Part, base_split: Split) -> list[tuple[Backend, Fraction]]:
    """Return the backends of a canary and their parts of its weight."""
    action = part.route.action
    if not isinstance(action, Forward):
        return []
    backends: list[Backend] = []
    for backend in action.backends:
        own = _falling_back(backend, action.split, part)
        split = own.split or action.split
        backends.append(msgspec.structs.replace(own, split=None if split == base_split else split))
    return _divided(backends, part.canary.weight)


def _falling_back(backend: Backend, split: Split, part: _Part) -> Backend:
    """Return a canary's backend that falls back to the canary's own fallbacks, then to the base."""
    own_split = backend.split or split
    reached: dict[str, set[str]] = defaultdict(set)
    reached[backend.service] |= _allowed(own_split)
    for fallback in backend.fallbacks:
        reached[fallback.service] |= _allowed(fallback.split or own_split)
    fallbacks = list(backend.fallbacks)
    for service, base_split in _destinations(part.base):
        usable = _kept_in(part, base_split)
        if usable is None or _allowed(usable) <= reached[service]:
            continue
        reached[service] |= _allowed(usable)
        fallbacks.append(Destination(service, None if usable == own_split else usable))
    return msgspec.structs.replace(backend, fallbacks=tuple(fallbacks))


def _destinations(base: Route) -> Iterator[tuple[str, Split]]:
    """Yield the backends of a base, then its fallbacks."""
    if not isinstance(base.action, Forward):
        return
    for backend in base.action.backends:
        yield backend.service, backend.split or base.action.split
    for backend in base.action.backends:
        for fallback in backend.fallbacks:
            yield fallback.service, fallback.split or backend.split or base.action.split


def _allowed(split: Split) -> set[str]:
    """Return the clusters that may ever serve."""
    if split.mode is SplitMode.ENDPOINTS or (split.failover and not split.failover_clusters):
        return {share.cluster for share in split.shares}
    return {share.cluster for share in split.shares if share.weight} | set(split.failover_clusters)


def _kept_in(part: _Part, split: Split) -> Split | None:
    """Return the base's split without the clusters that the canary's requests may not go to."""
    route = part.route.action
    if part.plan.failover.clusters is None or not isinstance(route, Forward):
        return split
    allowed = _allowed(route.split)
    shares = tuple(share for share in split.shares if share.cluster in allowed)
    return msgspec.structs.replace(split, shares=shares) if shares else None


def _with_own_headers(base: Policies | None, own: Policies | None) -> Policies | None:
    """Return the base's policies with the canary's changes of headers instead of the base's."""
    own = own or _NO_POLICIES
    policies = msgspec.structs.replace(
        base or _NO_POLICIES,
        request_headers=own.request_headers,
        response_headers=own.response_headers,
        response_rules=own.response_rules,
    )
    return policies if policies != _NO_POLICIES else None


def _inherited(policies: Policies | None) -> Policies | None:
    return _with_own_headers(policies, None)


def _check_policies(part: _Part, own: Policies | None) -> None:
    """Report settings of a canary that differ from its base and so have no effect."""
    if own is None:
        return
    has_headers = own != _inherited(own)
    base = part.base.policies if has_headers else _inherited(part.base.policies)
    if own != base:
        note = "a canary has the policies of its base"
        if part.canary.condition is not None:
            note += ", but for changes of headers"
        part.outcome.findings.add("FG0204", "metadata.annotations", note=note)
