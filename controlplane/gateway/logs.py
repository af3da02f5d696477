"""Log lines of the control plane: key=value, one line each, state changes only."""

import json
import logging
import re
from datetime import UTC, datetime

from proxy.stderr import StderrHandler

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "taskName",
}
_PLAIN = re.compile(r"[\w.:/@%+,-]+")


class KeyValueFormatter(logging.Formatter):
    """`time=… level=info msg="worker started" worker=0 pid=4711`: values from `extra` follow the text."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
        }
        fields.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return " ".join(f"{key}={quoted(value)}" for key, value in fields.items())


def quoted(value: object) -> str:
    """Return the value as one word, in JSON's quotes where it has to be."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def configure() -> logging.Handler:
    """Send the log to standard error; return the handler, to be closed at the end."""
    handler = StderrHandler()
    handler.setFormatter(KeyValueFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for chatty in ("asyncio", "uvicorn", "aiohttp", "kubernetes_asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return handler
