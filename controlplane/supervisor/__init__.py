"""The worker processes: their listening sockets, their lives, their ends."""

from controlplane.supervisor.hangs import PERIOD_S
from controlplane.supervisor.roster import Roster
from controlplane.supervisor.supervisor import ProcessView, Supervisor, WorkerCommand

__all__ = ["PERIOD_S", "ProcessView", "Roster", "Supervisor", "WorkerCommand"]
