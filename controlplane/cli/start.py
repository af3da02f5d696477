"""The first lines of the `fleetgate` command.

A log rotation may send SIGUSR1 to a gateway that has just been started, and its imports alone take a
tenth of a second: signals are held back before those. Hence nothing is imported here that takes time.
"""

import signal


def hold_signals() -> None:
    """Hold SIGUSR1 and SIGUSR2 back, which would end this process, until there is a handler."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGUSR2))


def main() -> None:
    hold_signals()
    from controlplane.cli.main import main as command

    command()
