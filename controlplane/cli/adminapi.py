"""Asks the admin API of a running gateway."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from controlplane.cli.failure import Failure, Unavailable

F = TypeVar("F", bound=Callable[..., Any])


def admin_option(command: F) -> F:
    return click.option(
        "--admin",
        default="127.0.0.1:9901",
        show_default=True,
        envvar="FLEETGATE_ADMIN",
        metavar="HOST:PORT",
        help="Admin API of the running gateway.",
    )(command)


def ask(admin: str, path: str, question: Any, known_by: str, *, timeout: float = 30.0) -> Any:
    """POST a question and return the answer. Raises Failure with the problem that was answered.

    An answer without the member `known_by` comes from something else.
    """
    import httpx

    base = admin if "://" in admin else f"http://{admin}"
    try:
        answer = httpx.post(base + path, json=question, timeout=timeout, trust_env=False)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise Failure(f"--admin {admin!r} is no address: {error}; e.g. 127.0.0.1:9901") from None
    except httpx.TransportError as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise Unavailable(
            f"admin API {admin} does not answer: {cause}; start the gateway, or give --admin HOST:PORT"
        ) from None
    if answer.is_success:
        found = _json(answer)
        if isinstance(found, dict) and known_by in found:
            return found
        raise Unavailable(f"{admin} is no admin API; give --admin HOST:PORT")
    raise _refused(admin, answer.status_code, _problem(answer))


def _json(answer: Any) -> Any:
    """Return the body; None when it is no JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


def _problem(answer: Any) -> str:
    """Return what a problem+json says on one line, "" when the answer is none."""
    body = _json(answer)
    if not isinstance(body, dict):
        return ""
    return " ".join(str(body.get("detail") or body.get("title") or "").split())


def _refused(admin: str, status: int, said: str) -> Failure:
    if status == 400 and said:
        return Failure(said)
    if status in (404, 405):
        return Unavailable(f"{admin} does not know this question: is it a fleetgate of this version?")
    return Unavailable(f"admin API {admin} answers {status}" + (f": {said}" if said else ""))
