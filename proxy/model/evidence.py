"""The file in which workers share evidence about endpoints. Only its size concerns the supervisor."""

from typing import Final

BYTES: Final = 2 << 20
"""Zeros to begin with. `proxy.upstream.evidence.shared` describes the content."""
