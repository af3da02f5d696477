"""Signals of the processes of the control plane and of the demo: no signal is an unclean end.

A signal that comes before its handler is there is held back, not lost and not deadly.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that drain. SIGHUP too: a closed terminal must not leave workers behind without a control plane."""

HELD = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
"""Held back until there is a handler. SIGTERM and SIGINT end a process that has not begun."""


def prepare() -> None:
    """To be called first: hold signals back, and open standard streams that are closed.

    With a closed standard output the first socket would get its number, and the access log.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free number


def install(on_end: Callable[[], None], on_reopen: Callable[[], None]) -> None:
    """Call `on_end` for every signal of ENDS, `on_reopen` for SIGUSR1, in the running loop.

    SIGUSR2 is reserved: it is noted in the log. SIGHUP stays ignored where it is (nohup).
    """
    loop = asyncio.get_running_loop()
    for number in ENDS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, on_end)
    loop.add_signal_handler(signal.SIGUSR1, on_reopen)
    loop.add_signal_handler(signal.SIGUSR2, log.info, "SIGUSR2 does nothing here")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


def nothing_to_reopen() -> None:
    log.info("SIGUSR1 does nothing here: there is no access log")


@contextmanager
def held_for_child() -> Iterator[None]:
    """Start a child inside: it begins with these signals held back, and lets them through itself."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


def hold_until_exit() -> None:
    """To be called when the loop has done its work: its handlers go before the process does."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (*HELD, *ENDS))
