"""alb.ingress.kubernetes.io/listen-ports: on which listeners of the AlbConfig the rules are installed."""

from typing import Any, Final

from controlplane.translate.annotations.draft import Draft, ListenPort
from controlplane.translate.annotations.loosejson import JsonProblem, read_list
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation
from controlplane.translate.dialects import Dialect

PROTOCOLS: Final = ("HTTP", "HTTPS", "QUIC")
_GRAMMAR = 'a JSON array like [{"HTTP": 80}, {"HTTPS": 443}] with ports from 1 to 65535'

LISTEN_PORTS: Final = Annotation(
    "listen-ports",
    (ALB,),
    Dialect.ALB,
    "names the listeners of the AlbConfig on which the rules are installed",
    type="JSON",
    allowed=_GRAMMAR,
    default='[{"HTTP": 80}]',
    example='[{"HTTP": 8001}]',
)
ROWS: Final = (LISTEN_PORTS,)


def apply(reader: Reader, draft: Draft) -> None:
    given = reader.given(LISTEN_PORTS)
    if given is None:
        return
    try:
        draft.ports = parse(given.text)
    except JsonProblem as problem:
        reader.reject(given, problem, _GRAMMAR)


def parse(text: str) -> tuple[ListenPort, ...]:
    """Return the listeners that are named, without repetitions. Raises JsonProblem."""
    return tuple(dict.fromkeys(_entry(entry) for entry in read_list(text)))


def _entry(entry: Any) -> ListenPort:
    if not isinstance(entry, dict) or len(entry) != 1:
        raise JsonProblem("has an entry that is not an object with one key")
    ((protocol, port),) = entry.items()
    if protocol not in PROTOCOLS:
        raise JsonProblem(f"names the protocol {protocol}, which is none of {', '.join(PROTOCOLS)}")
    if type(port) is not int or not 1 <= port <= 65535:
        raise JsonProblem(f"names the {protocol} port {port}, which is not an integer from 1 to 65535")
    return protocol, port
