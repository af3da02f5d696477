"""Points in time as people and programs read them."""

from datetime import UTC, datetime


def rfc3339(unix_s: float) -> str | None:
    """Return a time as RFC 3339 in UTC, None for 0 (never)."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds") if unix_s else None
