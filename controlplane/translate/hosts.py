"""Hosts of Ingress rules: an exact DNS name, "*." and a DNS name (one label), or nothing. And Host fields."""

import re

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")
_IPV4 = re.compile(r"[0-9.]+")
_MAX_HOST = 253
_FIELD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?")


class HostProblem(ValueError):
    """The host cannot be used; the message says why."""


def parse_host(text: str) -> str:
    """Return the host in lower case, "" for any. Raises HostProblem."""
    host = text.lower()
    name = host.removeprefix("*.")
    if not host:
        return ""
    if "*" in name:
        raise HostProblem("has a wildcard that is not its whole first label")
    if _IPV4.fullmatch(name) or ":" in name:
        raise HostProblem("is an address or has a port; a rule's host is a DNS name")
    if len(host) > _MAX_HOST or not _NAME.fullmatch(name):
        raise HostProblem("is not a DNS name")
    return host


def wildcard_above(host: str) -> str | None:
    """Return the wildcard that covers an exact host, None when there is none."""
    label, dot, parent = host.partition(".")
    return f"*.{parent}" if dot and label != "*" else None


def is_host_field(text: str) -> bool:
    """Return whether endpoints can get this Host: a name or IPv4 address, with or without a port."""
    return _FIELD.fullmatch(text) is not None
