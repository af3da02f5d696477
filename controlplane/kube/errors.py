"""Errors between the gateway and an API server. Every message is one line and holds no secret."""

from dataclasses import dataclass

MAX_MESSAGE = 400

ADVICE = {
    401: "; renew the token or the client certificate in its kubeconfig",
    403: "; grant it with a ClusterRole bound to this user",
}


def one_line(text: object) -> str:
    """Return `text` without line breaks, cut to the length of a log line."""
    flat = " ".join(str(text).split())
    return flat if len(flat) <= MAX_MESSAGE else flat[: MAX_MESSAGE - 1] + "…"


class KubeError(Exception):
    """Any failure of this package."""


class ConfigError(KubeError):
    """A kubeconfig cannot be used; the message names the file, the mistake and the fix."""


@dataclass(eq=False)
class Unreachable(KubeError):
    """No complete HTTP response: refused, timed out, cut off, TLS not accepted."""

    server: str
    cause: str

    def __str__(self) -> str:
        return (
            f"cannot reach API server {self.server}: {one_line(self.cause)}; "
            "check that it runs and that the address in its kubeconfig is right"
        )


@dataclass(eq=False)
class ApiError(KubeError):
    """The API server answered with an error. `reason` is that of its Status object, "" without one.

    `retry_after` is in seconds, 0 when the server named none.
    """

    status: int
    reason: str
    message: str
    server: str = ""
    retry_after: float = 0.0

    def __str__(self) -> str:
        what = one_line(self.message) or self.reason or "no message"
        who = f"API server {self.server}" if self.server else "the API server"  # events of a watch name none
        return f"{who} answered {self.status}: {what}{ADVICE.get(self.status, '')}"

    @property
    def expired(self) -> bool:
        """The resource version is too old to continue from."""
        return self.status == 410 or self.reason in ("Expired", "Gone")

    @property
    def version_too_large(self) -> bool:
        """The resource version is newer than all versions of this server (which lags, or was restored)."""
        return "Too large resource version" in self.message


class StreamBroken(KubeError):
    """A watch ended other than by its timeout: cut line, no JSON, silence, connection lost.

    `relist` says that going on from the same resource version would only meet the same again.
    """

    def __init__(self, message: str, *, relist: bool = False) -> None:
        super().__init__(message)
        self.relist = relist


class StreamSilent(StreamBroken):
    """A watch was silent for a long time, which proves nothing.

    kube-apiserver sends no bookmarks for a kind of which it has seen no event since it started.
    """
