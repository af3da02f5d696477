"""Which version of each Ingress is live, and the routes it has.

An edit with a value that cannot be used leaves the last good version live. An Ingress that never had
one is served as far as it can be: the rules that the value concerns are left out. An edit with a
protection that cannot be honoured leaves only a version live that has the same protection; else the
rules of the edit answer 503, since the Ingress was not meant to stay open.
"""

from collections.abc import Iterator

import msgspec
from msgspec import field
from msgspec.structs import replace

from controlplane.resources.ingress import Ingress
from controlplane.resources.view import FleetObjects
from controlplane.translate.classes import Membership, membership
from controlplane.translate.closed import EFFECT, outlines, protection
from controlplane.translate.diagnostics import Findings, Subject, did_you_mean
from controlplane.translate.dialects import Dialect
from controlplane.translate.endpoints import ServiceResolver
from controlplane.translate.gateways import Gateways, LiveGateway
from controlplane.translate.grants import NO_GRANTS, Grants
from controlplane.translate.ingresses import plan_ingress
from controlplane.translate.model import AcceptedIngress, LastGood
from controlplane.translate.plan import IngressPlan
from controlplane.translate.routes import Binding, bind_routes
from controlplane.translate.servergroups import ServerGroups
from proxy.model.limits import Limits
from proxy.model.snapshot import Route


class Outcome(msgspec.Struct, frozen=True):
    """The outcome of one Ingress. An Ingress that is not `ours` gets no status from this gateway."""

    findings: Findings
    ours: bool = False
    live: AcceptedIngress | None = None
    routes: tuple[Route, ...] = ()
    plan: IngressPlan | None = None  # of the live version, when there is a gateway for it
    gateway: LiveGateway | None = None


class World(msgspec.Struct, frozen=True):
    """The context in which an Ingress is judged."""

    fleet: FleetObjects
    gateways: Gateways
    groups: ServerGroups
    resolver: ServiceResolver
    last_good: LastGood
    limits: Limits = field(default_factory=Limits)
    grants: Grants = NO_GRANTS


def translate_ingresses(world: World) -> tuple[Outcome, ...]:
    """Return the outcome of every Ingress, by namespace and name."""
    outcomes = [_outcome(findings, current, world) for findings, current in _newest(world.fleet)]
    outcomes.sort(key=lambda outcome: (outcome.findings.subject.namespace, outcome.findings.subject.name))
    return tuple(outcomes)


def _newest(fleet: FleetObjects) -> Iterator[tuple[Findings, Ingress | None]]:
    """Yield each Ingress that is not being deleted; None for an Ingress that cannot be read."""
    for ingress in fleet.ingresses.values():
        if ingress.metadata.deletion_timestamp is None:
            yield Findings(Subject.of("Ingress", ingress.metadata)), ingress
    for malformed in fleet.malformed:
        if malformed.kind == "Ingress":
            subject = Subject("Ingress", malformed.namespace, malformed.name, malformed.uid)
            findings = Findings(subject)
            findings.add("FG0100", problem=malformed.error)
            yield findings, None


class _Choice(msgspec.Struct, frozen=True):
    """The version of an Ingress to use, its gateway, and its plan. Without a gateway the version is only
    remembered.
    """

    live: AcceptedIngress
    owner: Membership | None
    plan: IngressPlan | None

    @property
    def serves(self) -> bool:
        """Whether the version has routes, or lacks only its gateway."""
        return self.plan is None or bool(self.plan.routes)


def _outcome(findings: Findings, current: Ingress | None, world: World) -> Outcome:
    kept = world.last_good.ingresses.get(findings.subject.identity)
    newest: _Choice | None = None
    own = Findings(findings.subject)  # about the values of the newest version
    if current is not None:
        owner = membership(current, world.gateways.classes, findings)
        if owner is None:
            # Without its class the Ingress is not served; its last good version waits for the class to
            # return.
            return Outcome(findings, live=kept if findings.items else None)
        newest = _Choice(
            AcceptedIngress(current), owner, plan_ingress(current, owner.dialect, own, world.limits)
        )
    choice = _choose(newest, kept, world, findings, own)
    if choice is None:
        return Outcome(findings, ours=current is not None)
    return _bound(choice, world, findings)


def _bound(choice: _Choice, world: World, findings: Findings) -> Outcome:
    gateway = _gateway(choice.owner, world.gateways, findings)
    if gateway is None or choice.plan is None:
        return Outcome(findings, True, choice.live)
    tls = choice.plan.backend_tls
    binding = Binding(gateway, world.resolver, world.groups, findings, world.grants, tls)
    return Outcome(findings, True, choice.live, bind_routes(choice.plan, binding), choice.plan, gateway)


def before_edit(outcome: Outcome, world: World) -> Outcome | None:
    """Return the outcome with the last good version, for an Ingress whose current version conflicts with
    others.

    None when there is no other version. The findings about that version were reported when it was new.
    """
    kept = world.last_good.ingresses.get(outcome.findings.subject.identity)
    if kept is None or kept == outcome.live:
        return None
    untold = Findings(outcome.findings.subject)
    earlier = _bound(_kept(kept, world, outcome.findings.subject), world, untold)
    return replace(earlier, findings=outcome.findings)


def closed_instead(outcome: Outcome, world: World) -> Outcome | None:
    """Return an outcome whose rules answer 503, for an Ingress that conflicts with others.

    None where no annotation protects the Ingress.
    """
    live, plan, subject = outcome.live, outcome.plan, outcome.findings.subject
    closed = protection(live.ingress.metadata.annotations) if live is not None else None
    if live is None or closed is None or plan is None or plan.canary is not None:
        return None
    untold = Findings(subject)
    owner = membership(live.ingress, world.gateways.classes, untold)
    outlined = replace(plan, routes=outlines(plan.routes), closed=closed, work={})
    choice = _Choice(AcceptedIngress(live.ingress, complete=False), owner, outlined)
    return replace(_bound(choice, world, untold), findings=outcome.findings)


def _choose(
    newest: _Choice | None, kept: AcceptedIngress | None, world: World, findings: Findings, own: Findings
) -> _Choice | None:
    """Return the version to use, and add the findings about the newest version with their consequence."""
    if newest is not None and not own.failed:
        findings.items += own.items
        return newest
    partial = newest is not None and newest.plan is not None and bool(newest.plan.routes)
    choice: _Choice | None
    if newest is not None and newest.plan is not None and not _protects(kept, newest.plan):
        effect = EFFECT if partial else "the Ingress is not served"
        choice = replace(newest, live=AcceptedIngress(newest.live.ingress, complete=False))
    elif kept is not None and (kept.complete or not partial):
        choice = _kept(kept, world, findings.subject)
        effect = "the last good version stays live" if choice.serves else "the Ingress is not served"
    elif partial and newest is not None:
        effect = "the rules it concerns are not installed"
        choice = replace(newest, live=AcceptedIngress(newest.live.ingress, complete=False))
    else:
        effect, choice = "the Ingress is not served", None
    (findings if newest is None else own).note_on_errors(effect)
    findings.items += own.items
    return choice


def _protects(kept: AcceptedIngress | None, plan: IngressPlan) -> bool:
    """Whether an earlier version has the protections that a plan cannot honour.

    A key that can never be used may stand in it with a value that asks for nothing, so it says nothing.
    """
    if plan.closed is None:
        return True
    if kept is None or plan.closed.never:
        return False
    return plan.closed.keys <= kept.ingress.metadata.annotations.keys()


def _kept(kept: AcceptedIngress, world: World, subject: Subject) -> _Choice:
    """Return an earlier version as it is served now. Its findings were reported when it was new."""
    untold = Findings(subject)
    owner = membership(kept.ingress, world.gateways.classes, untold)
    plan = plan_ingress(kept.ingress, owner.dialect, untold, world.limits) if owner is not None else None
    return _Choice(kept, owner, plan)


def _gateway(owner: Membership | None, gateways: Gateways, findings: Findings) -> LiveGateway | None:
    if owner is None or not owner.gateway:
        return None
    gateway = gateways.by_key.get((owner.dialect, owner.gateway))
    if gateway is None:
        code = "FG0103" if owner.dialect is Dialect.ALB else "FG0105"
        names = (name for dialect, name in gateways.by_key if dialect is owner.dialect)
        hint = did_you_mean(owner.gateway, names)
        findings.add(code, "spec.ingressClassName", name=owner.gateway, hint=hint)
    return gateway
