"""Log lines about changed verdicts, bounded in number: a cluster that dies changes thousands at once.

Each namespace always gets its first lines, however many endpoints of other namespaces change.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from controlplane.checks.verdict import Verdict
from controlplane.kube.turns import LeftOut
from controlplane.translate.services import namespace_of

MAX_LINES: Final = 20
LEAST_OF_NAMESPACE: Final = 2
WINDOW_S: Final = 10.0


class ChangeLog:
    """Writes MAX_LINES changes of each WINDOW_S, a few of each namespace, and how many more there were."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lines: Counter[str] = Counter()  # by namespace
        self._left_out = LeftOut()
        self._window: asyncio.TimerHandle | None = None

    def changed(self, verdict: Verdict, address: str, port: int, groups: Sequence[tuple[str, str]]) -> None:
        if self._window is None:
            self._window = asyncio.get_running_loop().call_later(WINDOW_S, self._end_window)
        service, cluster = groups[0] if groups else ("", "")
        namespace = namespace_of(service)
        if self._lines.total() >= MAX_LINES and self._lines[namespace] >= LEAST_OF_NAMESPACE:
            self._left_out.add(namespace)
            return
        self._lines[namespace] += 1
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
        self._window = None
        self._lines.clear()
        if self._left_out:
            text = "more endpoints changed between healthy and unhealthy"
            self._log.warning(text, extra=self._left_out.take())
