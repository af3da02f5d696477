"""The first lines of the `fleetgate` command.

A log rotation may send SIGUSR1 to a gateway that has just been started, and its imports alone take a
tenth of a second: signals are held back before those. Hence nothing is imported here that takes time.
"""

from controlplane.cli.hold import hold_signals


def main() -> None:
    hold_signals()
    from controlplane.cli.main import main as command

    command()
