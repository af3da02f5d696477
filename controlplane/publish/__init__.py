"""Snapshots to the workers, counters back from them."""

from controlplane.publish.certificates import Certificates
from controlplane.publish.delta import endpoint_delta
from controlplane.publish.failures import Failures, Pair
from controlplane.publish.held import Held
from controlplane.publish.paths import SocketPlace, place_socket
from controlplane.publish.publisher import Publisher, WorkerView
from controlplane.publish.rollout import Rejection
from controlplane.publish.saver import Saver
from controlplane.publish.store import SnapshotStore, StoreHealth
from controlplane.publish.totals import DurationTotal, Totals

__all__ = [
    "Certificates",
    "DurationTotal",
    "Failures",
    "Held",
    "Pair",
    "Publisher",
    "Rejection",
    "Saver",
    "SnapshotStore",
    "SocketPlace",
    "StoreHealth",
    "Totals",
    "WorkerView",
    "endpoint_delta",
    "place_socket",
]
