"""Signals that must not end a command while it imports its modules. Every import here is a quick one."""

import signal


def hold_signals() -> None:
    """Hold SIGUSR1 and SIGUSR2 back, which would end this process, until there is a handler."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGUSR2))
