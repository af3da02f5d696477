"""A small API server that speaks the Kubernetes API: for the demo, for tests, for rules without a cluster.

It serves the builtin kinds of the gateway's world (Ingress, Service, EndpointSlice, Lease, Event, ...) and
custom kinds, with the verbs, patches, watches, tables and discovery documents that kubectl and client
libraries use. It keeps objects in memory, enforces no RBAC, calls no webhook and runs as one process:
docs/embedded.md has the list.

The gateway never knows that it talks to this server: a difference from kube-apiserver is a bug here. The
`runtime` image leaves the package out; only the verbs `demo` and `apiserver` need it.
"""
