"""alb.ingress.kubernetes.io/listen-ports: on which listeners of the AlbConfig the rules are installed."""

from collections.abc import Mapping
from typing import Any, Final

from controlplane.translate.annotations.loosejson import JsonProblem, read_list
from controlplane.translate.annotations.registry import ALB, field_of
from controlplane.translate.diagnostics import Findings

KEY: Final = ALB + "listen-ports"
PROTOCOLS: Final = ("HTTP", "HTTPS", "QUIC")
_GRAMMAR = 'a JSON array like [{"HTTP": 80}, {"HTTPS": 443}] with ports from 1 to 65535'

ListenPort = tuple[str, int]
"""Protocol and port."""


def parse(annotations: Mapping[str, str], findings: Findings) -> tuple[ListenPort, ...] | None:
    """Return what the annotation names, without repetitions; None when it is absent or unusable."""
    text = annotations.get(KEY)
    if text is None:
        return None
    try:
        return tuple(dict.fromkeys(_entry(entry) for entry in read_list(text)))
    except JsonProblem as problem:
        findings.add("FG0201", field_of(KEY), text, problem=problem, allowed=_GRAMMAR)
        return None


def _entry(entry: Any) -> ListenPort:
    if not isinstance(entry, dict) or len(entry) != 1:
        raise JsonProblem("has an entry that is not an object with one key")
    ((protocol, port),) = entry.items()
    if protocol not in PROTOCOLS:
        raise JsonProblem(f"names the protocol {protocol}, which is none of {', '.join(PROTOCOLS)}")
    if type(port) is not int or not 1 <= port <= 65535:
        raise JsonProblem(f"names the {protocol} port {port}, which is not an integer from 1 to 65535")
    return protocol, port
