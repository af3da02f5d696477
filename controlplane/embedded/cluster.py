"""One embedded cluster without its HTTP side: store, kinds, writer, and the first objects of a cluster."""

from __future__ import annotations

from controlplane.embedded.api.options import WriteOptions
from controlplane.embedded.registry.registry import Registry
from controlplane.embedded.storage.store import Store
from controlplane.embedded.writing.intake import Write
from controlplane.embedded.writing.lifecycle import Lifecycle
from controlplane.embedded.writing.writer import Writer

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class Cluster:
    """Must be made on the event loop that serves it; `history` is the number of changes kept per kind."""

    def __init__(self, name: str, history: int = 4096) -> None:
        self.name = name
        self.store = Store(history)
        self.registry = Registry()
        self.writer = Writer(self.store, self.registry)
        self.lifecycle = Lifecycle(self.writer)
        for namespace in NAMESPACES:
            self._create("", "namespaces", "", {"metadata": {"name": namespace}})
        labels = {"component": "apiserver", "provider": "kubernetes"}
        port = {"name": "https", "port": 443, "targetPort": 6443}
        service = {
            "metadata": {"name": "kubernetes", "labels": labels},
            "spec": {"ports": [port], "clusterIP": "10.96.0.1"},
        }
        self._create("", "services", "default", service)

    def _create(self, group: str, plural: str, namespace: str, body: dict[str, object]) -> None:
        resource = self.registry.find(group, "v1", plural)
        if resource is None:
            raise ValueError(f"{plural} is not a builtin kind")
        self.writer.create(Write(resource, namespace, WriteOptions(manager="kube-apiserver")), body)
