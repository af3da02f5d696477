"""Limits of one peer, or of all peers, at a worker. Part of the snapshot; times in seconds."""

from typing import Annotated, Final

import msgspec

Meta = msgspec.Meta


class Limits(msgspec.Struct, frozen=True):
    """Every limit is per worker: connections of different processes are never added up.

    Defaults are the edge values of nginx, Envoy and HAProxy; docs/limits.md says where they differ.
    """

    max_connections: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Most client connections; more are answered 503 and closed."),
    ] = 20_000
    max_connections_per_address: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Most client connections from one IPv4 address or IPv6 /64; 0 is no limit. "
            "Trusted proxies are not counted.",
        ),
    ] = 0
    max_wait_s: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="Longest time that requests may wait for the worker. When waits stay above it, "
            "new connections are held off and requests answered 503; 0 is no limit.",
        ),
    ] = 0.2
    head_timeout_s: Annotated[
        float,
        Meta(gt=0, le=3600, description="Time from the first byte of a request head to its last; then 408."),
    ] = 10.0
    body_idle_timeout_s: Annotated[
        float, Meta(gt=0, le=3600, description="Time between two pieces of a request body; then 408.")
    ] = 60.0
    min_body_rate: Annotated[
        int,
        Meta(
            ge=0,
            le=1 << 30,
            description="Bytes per second that a request body must bring on average "
            "while the worker waits for it; a slower one gets 408; 0 is no limit.",
        ),
    ] = 240
    min_body_rate_grace_s: Annotated[
        float,
        Meta(
            ge=0, le=3600, description="Time that the worker waits for a body before the body's rate counts."
        ),
    ] = 10.0
    request_timeout_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="Time that the worker waits for a request body in all; then 408; 0 is no limit. "
            "Time in which the endpoint does not take the body does not count.",
        ),
    ] = 300.0
    max_body_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1 << 50,
            description="Largest request body; a larger one gets 413; 0 is no limit. "
            "An Ingress with proxy-body-size has a limit of its own.",
        ),
    ] = 100 << 20
    tunnel_idle_timeout_s: Annotated[
        float,
        Meta(
            ge=0,
            le=604_800,
            description="Time that a tunnel (WebSocket) may carry nothing in either direction; "
            "then both sides are closed; 0 is no limit.",
        ),
    ] = 3600.0
    http2_max_streams: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Most requests at a time on one connection of HTTP/2; "
            "the client may send others elsewhere.",
        ),
    ] = 128
    http2_max_age_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="Age, give or take a tenth, at which a connection of HTTP/2 takes no more requests: "
            "clients spread over workers and replicas again; 0 is no limit.",
        ),
    ] = 600.0
    http2_stall_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="Time in which a client of HTTP/2 may take nothing of a response that waits for it; "
            "then the stream is ended.",
        ),
    ] = 60.0
    http2_reset_rate: Annotated[
        float,
        Meta(
            gt=0,
            le=100_000,
            description="Streams per second, beyond 200 at once, that may come to nothing on a connection "
            "of HTTP/2, whoever ends them; then the connection is ended.",
        ),
    ] = 30.0
    http2_control_frame_rate: Annotated[
        float,
        Meta(
            gt=0,
            le=100_000,
            description="Frames per second, beyond 500 at once, that may carry no part of a request on a "
            "connection of HTTP/2 (PING, SETTINGS, PRIORITY, empty DATA); then the connection is ended.",
        ),
    ] = 50.0
    max_upstream_connections: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Most connections to one service in one cluster, idle ones included.",
        ),
    ] = 1024
    max_upstream_pending: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Most requests that wait for one of these connections, for a second at most; "
            "others go to the next cluster, or are answered 503.",
        ),
    ] = 256
    max_ingress_bytes: Annotated[
        int,
        Meta(
            ge=1,
            le=1 << 30,
            description="Most bytes of the rules of one Ingress, as workers get them; "
            "a larger Ingress is refused.",
        ),
    ] = 16 << 20
    max_header_changes: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Most changes of headers by one rule; an Ingress with more is refused.",
        ),
    ] = 100
    max_ingress_pattern_work: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Steps per octet that the patterns of one Ingress may cost a request to a host; "
            "an Ingress with more is refused.",
        ),
    ] = 500
    max_host_pattern_work: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000_000,
            description="Steps per octet that the patterns of all Ingresses with rules for a host "
            "may cost a request; the Ingress that exceeds them is refused.",
        ),
    ] = 1000


class LimitError(Exception):
    """A limit does not exist, or cannot have the value; the message names what is allowed."""


def parse_limits(settings: dict[str, str]) -> Limits:
    """Return the defaults changed by `settings`, option name to value. Raises LimitError."""
    values: dict[str, int | float] = {}
    for option, text in settings.items():
        field = _FIELDS.get(option)
        if field is None:
            raise LimitError(f"{option!r} is not a limit; there are {', '.join(_FIELDS)}")
        try:
            values[field.name] = msgspec.convert(text, field.type, strict=False)
        except msgspec.ValidationError:
            raise LimitError(f"{option}={text} is not {allowed(option)}") from None
    return Limits(**values)  # type: ignore[arg-type]


def allowed(option: str) -> str:
    """Return the range of a limit in words."""
    field = _FIELDS[option]
    kind, meta = field.type.__origin__, field.type.__metadata__[0]
    low = f"from {meta.ge}" if meta.ge is not None else f"above {meta.gt}"
    return f"{'a whole number' if kind is int else 'a number'} {low} to {meta.le}"


def described() -> list[tuple[str, str, str, str]]:
    """Return option, default, range and meaning of every limit: the table of the documentation."""
    return [
        (option, f"{field.default:g}" if field.type.__origin__ is float else str(field.default),
         allowed(option), field.type.__metadata__[0].description)
        for option, field in _FIELDS.items()
    ]  # fmt: skip


_FIELDS: Final = {
    field.name.removesuffix("_s").replace("_", "-"): field for field in msgspec.structs.fields(Limits)
}
