"""Header lines of a request: the validity and the treatment of each, remembered by the bytes of the line.

Blocks seldom repeat where every request has its own cookie or trace id, but most of their lines do.
"""

from typing import Final

from proxy.http import limits
from proxy.http.errors import RequestError
from proxy.http.grammar import FIELD_LINE, FIELD_NAME, FIELD_VALUE
from proxy.http.memo import Memo

# Treatments of a field. Plain numbers, because every field of every new head has its treatment looked up.
VOUCHED: Final = -1  # goes on from trusted proxies only
DROP: Final = 0  # hop by hop, or said by a field of ours
KEEP: Final = 1
CONTROL: Final = 2  # has a meaning for the gateway, and is written anew or not at all
CONTROL_KEEP: Final = 3  # has a meaning for the gateway, and goes on as it is
IDENTITY: Final = 4  # names this one request

_RULES: Final[dict[bytes, int]] = {
    b"host": CONTROL,
    b"connection": CONTROL,
    b"content-length": CONTROL,
    b"transfer-encoding": CONTROL,
    b"upgrade": CONTROL,
    b"expect": CONTROL,
    b"user-agent": CONTROL_KEEP,
    b"max-forwards": CONTROL_KEEP,
    b"cdn-loop": CONTROL_KEEP,
    b"x-request-id": IDENTITY,
    b"keep-alive": DROP,
    b"proxy-connection": DROP,
    b"te": DROP,
    b"trailer": DROP,
    b"http2-settings": DROP,
    b"proxy-authenticate": DROP,
    b"proxy-authorization": DROP,
    b"proxy": DROP,  # httpoxy: CGI would read it as HTTP_PROXY
}
# Fields that only a proxy may send: a client could deceive programs that read them
_SAID_BY_X_FORWARDED: Final = (
    # The client, its scheme, its target: endpoints get X-Forwarded-For, -Proto, -Host instead
    b"forwarded", b"forwarded-for", b"x-forwarded", b"x-real-ip", b"true-client-ip", b"client-ip",
    b"x-client-ip", b"x-cluster-client-ip", b"proxy-client-ip", b"wl-proxy-client-ip", b"x-remote-ip",
    b"x-remote-addr", b"x-original-forwarded-for",
    b"x-scheme", b"x-url-scheme", b"front-end-https", b"x-original-proto",
    b"x-original-url", b"x-original-uri", b"x-original-host", b"x-original-method", b"x-rewrite-url",
)  # fmt: skip
_VOUCHED: Final = (
    # Certificates of clients, by Envoy and Traefik; the part of the path that a proxy has cut off
    b"x-forwarded-client-cert", b"x-forwarded-tls-client-cert", b"x-forwarded-tls-client-cert-info",
    b"x-client-cert", b"x-forwarded-prefix",
)  # fmt: skip
_VOUCHED_PREFIXES: Final = (b"ssl-client-", b"x-ssl-client-")  # of ingress-nginx, and of HAProxy's manual
_DROPPED_PREFIXES: Final = (b"x-forwarded-", b"x-envoy-", b"x-fleetgate-")
_LONGEST_REMEMBERED: Final = 512


class Field:
    """A field line. Immutable."""

    __slots__ = ("forward", "name", "rule", "value")

    def __init__(self, name: bytes, rule: int, value: bytes, forward: bytes) -> None:
        self.name = name  # in lower case
        self.rule = rule
        self.value = value  # without the white space around it
        self.forward = forward  # as we write it, with CRLF; b"" if it does not go on


class _Name:
    __slots__ = ("lower", "rule")

    def __init__(self, name: bytes) -> None:
        self.lower = name.lower()
        self.rule = rule_of(self.lower)


def rule_of(name: bytes) -> int:
    """Return the treatment of fields of this name, in lower case."""
    if name in _VOUCHED or name.startswith(_VOUCHED_PREFIXES):
        return VOUCHED
    if name in _SAID_BY_X_FORWARDED or name.startswith(_DROPPED_PREFIXES):
        return DROP
    return _RULES.get(name, KEEP)


known: Final[Memo[Field]] = Memo()
"""Fields by line, without its CRLF. `known.young.get(line) or read_field(line)` saves a call that counts."""

_names: Final[Memo[_Name]] = Memo()


def read_field(line: bytes) -> Field:
    """Return the field of a line, without its CRLF, that `known.young` does not have. Raises RequestError."""
    if len(line) > _LONGEST_REMEMBERED:
        return _parse(line)
    field = known.again(line)
    if field is None:
        field = _parse(line)
        known.offer(line, field)
    return field


def _parse(line: bytes) -> Field:
    match = FIELD_LINE.fullmatch(line)
    if match is None:
        raise bad_field(line)
    if len(line) > limits.MAX_LINE_BYTES:
        raise RequestError(431, f"a header line is longer than {limits.MAX_LINE_BYTES} bytes")
    as_sent, separator, value = match.groups()
    has_space_behind = len(value) > 0 and value[-1] <= 0x20
    if has_space_behind:
        value = value.rstrip(b" \t")
    name = _names.young.get(as_sent) or _read_name(as_sent)
    if name.rule not in (KEEP, CONTROL_KEEP):
        forward = b""
    elif separator == b": " and not has_space_behind:
        forward = line + b"\r\n"
    else:
        forward = b"%b: %b\r\n" % (as_sent, value)
    return Field(name.lower, name.rule, value, forward)


def named_field(name: bytes, value: bytes) -> Field:
    """Return the field of a name, in lower case, and a value that came apart. Raises RequestError.

    The field is not remembered here: HPACK has a memory of its own for fields that come again.
    """
    known_name = _names.young.get(name)
    if known_name is None:
        if FIELD_NAME.fullmatch(name) is None:
            raise bad_field(b"%b: " % name)
        known_name = _read_name(name)
    if FIELD_VALUE.fullmatch(value) is None or len(name) + len(value) > limits.MAX_LINE_BYTES:
        raise bad_field(b"%b: %b" % (name, value))
    rule = known_name.rule
    forward = b"%b: %b\r\n" % (name, value) if rule in (KEEP, CONTROL_KEEP) else b""
    return Field(known_name.lower, rule, value, forward)


def _read_name(as_sent: bytes) -> _Name:
    name = _names.again(as_sent)
    if name is None:
        name = _Name(as_sent)
        _names.offer(as_sent, name)
    return name


def bad_field(line: bytes) -> RequestError:
    """Return the error that names the fault of a line that FIELD_LINE refuses."""
    if len(line) > limits.MAX_LINE_BYTES:
        return RequestError(431, f"a header line is longer than {limits.MAX_LINE_BYTES} bytes")
    if b"\n" in line or b"\r" in line:
        return RequestError(400, "a header line has a bare CR or LF")
    if line[:1] in (b" ", b"\t"):
        return RequestError(400, "a header line is folded")
    name, colon, _ = line.partition(b":")
    if not colon:
        return RequestError(400, "a header line has no colon")
    if b"_" in name:
        return RequestError(400, "a header name has an underscore")
    return RequestError(400, "a header line has a forbidden character")
