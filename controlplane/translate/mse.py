"""An MseIngressConfig to listeners, and to the Ingresses it takes."""

from typing import Any, Final

from controlplane.resources.mseingressconfig import MseIngressConfig
from controlplane.translate.access import access_of, is_readable
from controlplane.translate.annotations.gateway_listeners import LISTENERS
from controlplane.translate.annotations.listen_ports import parse
from controlplane.translate.annotations.loosejson import JsonProblem
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import field_of
from controlplane.translate.classes import Selector
from controlplane.translate.diagnostics import Findings
from controlplane.translate.dialects import Dialect
from controlplane.translate.fields import Field, check_fields, part, reject
from controlplane.translate.listeners import PlannedListener
from controlplane.translate.networks import NOBODY
from proxy.model.policies import Access
from proxy.model.snapshot import Listener, Source
from proxy.model.tls import ListenerTls

_IDLE_S: Final = 180.0  # Higress: downstream.idleTimeout
_NO_TIMEOUT: Final = 0.0  # Higress: routeTimeout
_DEFAULT: Final = (("HTTP", 80),)
_REMEDY: Final = f": {LISTENERS.keys[0]}: '{LISTENERS.example}'"

_LISTS: Final = ("whitelist", "blacklist")
_CLOUD: Final = "it describes a cloud gateway, which fleetgate does not create"
_FIELDS: Final = (
    Field("name"),
    Field("id", _CLOUD),
    Field("override", _CLOUD),
    Field(
        "common",
        fields=(
            # Fields of the tutorials that describe the machines and switches of a gateway
            *map(Field, ("pay", "instance")),
            Field(
                "network",
                fields=(
                    *map(Field, ("vSwitches", "publicSLBSpec")),
                    Field(
                        "privateSLBSpec", "listeners are open on every address of the machine", matters=True
                    ),
                ),
            ),
            Field("securityGroupType", _CLOUD),
        ),
    ),
    Field(
        "global",
        fields=(
            Field("tls", fields=(Field("enableHardwareAcceleration", "there is no special hardware"),)),
            Field("ipAccessControl", fields=tuple(map(Field, _LISTS))),
        ),
    ),
    Field(
        "monitor",
        fields=(
            Field("logging", "the access log goes where --access-log of fleetgate says"),
            Field("tracing", "requests are not traced"),
        ),
    ),
    Field("ingress", fields=(Field("local", fields=(Field("ingressClass"), Field("watchNamespace"))),)),
)


def plan_mse_listeners(config: MseIngressConfig, findings: Findings) -> tuple[PlannedListener, ...]:
    """Return the listeners of an MseIngressConfig: HTTP:80, or those of its annotation."""
    check_fields(config.spec, "spec", _FIELDS, findings)
    where = "spec.global.ipAccessControl"
    access = _access(part(config.spec, "global").get("ipaccesscontrol"), where, findings)
    metadata = config.metadata
    source = Source("MseIngressConfig", metadata.namespace, metadata.name, metadata.generation)
    field = field_of(LISTENERS.keys[0])
    planned: list[PlannedListener] = []
    for protocol, port in _named(Reader(metadata.annotations, Dialect.MSE, findings)):
        if protocol == "QUIC":
            findings.add("FG0502", field, f"{protocol}:{port}", protocol=protocol, port=port)
            continue
        listener = Listener(
            port=port,
            source=source,
            idle_timeout_s=_IDLE_S,
            response_timeout_s=_NO_TIMEOUT,
            access=access,
            # Higress offers HTTP/2 on each HTTPS listener; no field of an MseIngressConfig says otherwise.
            tls=ListenerTls(http2=True) if protocol == "HTTPS" else None,
        )
        planned.append(PlannedListener(field, listener, _REMEDY))
    return tuple(planned)


def _access(control: Any, where: str, findings: Findings) -> Access | None:
    if not is_readable(control, _LISTS, where, findings):
        return Access(deny=NOBODY)
    allowed, denied = (part(control).get(name) for name in _LISTS)
    return access_of(allowed, denied, (f"{where}.{_LISTS[0]}", f"{where}.{_LISTS[1]}"), findings)


def selector_of(config: MseIngressConfig, findings: Findings) -> Selector:
    """Return the Ingresses that spec.ingress.local selects. An unusable value selects none."""
    local = part(config.spec, "ingress", "local")
    ingress_class = _name(local.get("ingressclass"), "ingressClass", findings)
    namespace = _name(local.get("watchnamespace"), "watchNamespace", findings)
    if namespace is None and local.get("watchnamespace") is not None:
        ingress_class = None
    return Selector(config.metadata.name, ingress_class, namespace or "")


def _named(reader: Reader) -> tuple[tuple[str, int], ...]:
    given = reader.given(LISTENERS)
    if given is None:
        key = LISTENERS.keys[0]
        reader.findings.add("FG0515", field_of(key), key=key, ports=LISTENERS.default)
        return _DEFAULT
    try:
        return parse(given.text)
    except JsonProblem as problem:
        reader.reject(given, problem, LISTENERS.allowed)
        return ()


def _name(value: Any, field: str, findings: Findings) -> str | None:
    if value is None or isinstance(value, str):
        return value if value is None else value.strip()
    reject(f"spec.ingress.local.{field}", value, "is not text", "a name", findings)
    return None
