"""Requests to the admin API of a running gateway."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from controlplane.cli.failure import Failure, Unavailable

F = TypeVar("F", bound=Callable[..., Any])


class AdminAddress(msgspec.Struct, frozen=True):
    """The admin API of a gateway; without a `token_file`, a gateway on this machine names its token file."""

    address: str
    token_file: Path | None = None


def admin_options(command: F) -> F:
    """Add the options `admin` and `admin_token_file`."""
    token_file = click.option(
        "--admin-token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="FLEETGATE_ADMIN_TOKEN_FILE",
        metavar="FILE",
        help="Token of the admin API; default: the token of a gateway on this machine.",
    )
    address = click.option(
        "--admin",
        default="127.0.0.1:9901",
        show_default=True,
        envvar="FLEETGATE_ADMIN",
        metavar="HOST:PORT",
        help="Admin API of the running gateway.",
    )
    return address(token_file(command))


def ask(admin: AdminAddress, path: str, question: Any, known_by: str, *, timeout: float = 30.0) -> Any:
    """POST a question and return the answer. Raises Failure with the problem of the answer.

    An answer without the member `known_by` comes from some other server.
    """
    answer = _post(admin, path, question, timeout, admin.token_file)
    if answer.status_code == 401 and admin.token_file is None:
        found = _found_file(answer)
        if found is not None:
            answer = _post(admin, path, question, timeout, found)
    if answer.is_success:
        body = _json(answer)
        if isinstance(body, dict) and known_by in body:
            return body
        raise Unavailable(f"{admin.address} is no admin API; give --admin HOST:PORT")
    raise _refused(admin.address, answer.status_code, _problem(answer))


def _post(admin: AdminAddress, path: str, question: Any, timeout: float, token_file: Path | None) -> Any:
    import httpx

    base = admin.address if "://" in admin.address else f"http://{admin.address}"
    headers = {"Authorization": f"Bearer {_token(token_file)}"} if token_file is not None else {}
    try:
        return httpx.post(base + path, json=question, headers=headers, timeout=timeout, trust_env=False)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise Failure(f"--admin {admin.address!r} is no address: {error}; e.g. 127.0.0.1:9901") from None
    except httpx.TransportError as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise Unavailable(
            f"admin API {admin.address} does not answer: {cause};"
            " start the gateway, or give --admin HOST:PORT"
        ) from None


def _token(path: Path) -> str:
    from controlplane.admin.token import TokenError, TokenFile

    try:
        return TokenFile(path).read().decode("ascii")
    except TokenError as error:
        raise Failure(f"--admin-token-file {error}") from None


def _found_file(answer: Any) -> Path | None:
    """Return the token file of a gateway on this machine: the path in its answer, or the default path.

    Paths from other machines, and paths of other files, are not believed: the content of the file is sent
    there.
    """
    from ipaddress import ip_address

    from controlplane.admin.token import NAME
    from controlplane.system import statedir

    host, body = answer.request.url.host, _json(answer)
    with suppress(ValueError):
        if host == "localhost" or ip_address(host).is_loopback:
            told = Path(str(body.get("tokenFile", ""))) if isinstance(body, dict) else Path()
            if told.is_absolute():
                return told if told.name == NAME else None
            state_dir = os.environ.get("FLEETGATE_STATE_DIR")
            path = (Path(state_dir) if state_dir else statedir.default()) / NAME
            return path if path.exists() else None
    return None


def _json(answer: Any) -> Any:
    """Return the body; None when it is no JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


def _problem(answer: Any) -> str:
    """Return the text of a problem+json on one line, "" for any other answer."""
    body = _json(answer)
    if not isinstance(body, dict):
        return ""
    return " ".join(str(body.get("detail") or body.get("title") or "").split())


def _refused(admin: str, status: int, said: str) -> Failure:
    if status == 400 and said:
        return Failure(said)
    if status == 401:
        return Failure(f"admin API {admin} asks for its token; give --admin-token-file FILE")
    if status in (404, 405):
        return Unavailable(f"{admin} does not know this question: is it a fleetgate of this version?")
    return Unavailable(f"admin API {admin} answers {status}" + (f": {said}" if said else ""))
