"""The schedule of requests: pure, and the same for every proxy."""

from dataclasses import dataclass
from typing import Final

from loadtest.drills.mixed.cases import FAST_PATH, SLOW_PATH, Case, Split
from loadtest.kit.site import PREFIX

#: Of sixteen fast requests these are POSTs: clusters and endpoints that take turns get equally many.
POSTS: Final = frozenset((3, 6, 9, 12))
USERS: Final = 40
"""Number of different keys and sessions."""
PIN: Final = ("stage", "gray")
KEY: Final = "x-user"


@dataclass(frozen=True, slots=True)
class Planned:
    """A request that is due `at` seconds from the start; `user` names its key and its session."""

    identity: str
    at: float
    method: str
    takes_s: float  # 0: as fast as the endpoint is
    path: str
    headers: tuple[tuple[str, str], ...]
    user: int

    @property
    def is_slow(self) -> bool:
        return self.takes_s > 0


def planned(case: Case) -> list[Planned]:
    """Return the requests in the order in which they are due."""
    requests = []
    for number in range(round(case.fast_rate * case.lasts_s)):
        is_post = case.fast_posts and number % 16 in POSTS
        at = number / case.fast_rate
        method = "POST" if is_post else "GET"
        requests.append(_request(case, f"f{number}", at, method, 0.0, number))
    number = 0
    for slow in case.slow:
        for at in slow.at:
            for _ in range(slow.together):
                requests.append(_request(case, f"s{number}", at, slow.method, slow.takes_s, number))
                number += 1
    return sorted(requests, key=lambda each: each.at)


def _request(case: Case, identity: str, at: float, method: str, takes_s: float, number: int) -> Planned:
    user = number % USERS
    key = (KEY, f"user-{user}")
    headers = (PIN, key) if case.split is Split.PINNED else (key,)
    path = FAST_PATH if case.same_path or not takes_s else SLOW_PATH
    target = f"{PREFIX}/{path}/id-{identity}?" if case.id_in_path else f"{PREFIX}/{path}?id={identity}&"
    target += f"s={takes_s:g}" if takes_s else ""
    return Planned(identity, at, method, takes_s, target.rstrip("?&"), headers, user)
