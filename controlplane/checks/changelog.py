"""Log lines about changed verdicts, so many at most: a cluster that dies changes thousands at once."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from controlplane.checks.verdict import Verdict

MAX_LINES: Final = 20
WINDOW_S: Final = 10.0


class ChangeLog:
    """Writes the first MAX_LINES changes of each WINDOW_S, and how many more there were."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._count = 0
        self._window: asyncio.TimerHandle | None = None

    def changed(self, verdict: Verdict, address: str, port: int, groups: Sequence[tuple[str, str]]) -> None:
        if self._window is None:
            self._window = asyncio.get_running_loop().call_later(WINDOW_S, self._end_window)
        self._count += 1
        if self._count > MAX_LINES:
            return
        service, cluster = groups[0] if groups else ("", "")
        extra = {"address": f"{address}:{port}", "service": service, "cluster": cluster}
        if len(groups) > 1:
            extra["services"] = str(len(groups))
        if verdict.failing:
            self._log.warning("endpoint unhealthy", extra=extra | {"cause": verdict.last_cause})
        else:
            self._log.info("endpoint healthy again", extra=extra)

    def close(self) -> None:
        if self._window is not None:
            self._window.cancel()

    def _end_window(self) -> None:
        more = self._count - MAX_LINES
        self._window, self._count = None, 0
        if more > 0:
            self._log.warning("more endpoints changed between healthy and unhealthy", extra={"count": more})
