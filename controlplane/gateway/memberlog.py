"""A line of the log whenever a member cluster becomes current, or stops being it."""

import logging
from collections.abc import Iterable

from controlplane.kube.cluster import ClusterHealth

log = logging.getLogger(__name__)


class MemberLog:
    """See `look`."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[bool, bool]] = {}

    def look(self, members: Iterable[ClusterHealth]) -> None:
        """Log the differences from the last look."""
        for member in members:
            state = (member.synced, member.stale)
            if member.attached and state != self._states.get(member.cluster, (False, False)):
                self._states[member.cluster] = state
                _log(member)


def _log(member: ClusterHealth) -> None:
    level = logging.WARNING if member.stale or not member.synced else logging.INFO
    text = "member cluster " + ("stale" if member.stale else "current" if member.synced else "not listed yet")
    extra = {"cluster": member.cluster, "server": member.server}
    log.log(level, text, extra=extra | ({"cause": member.last_error} if member.last_error else {}))
