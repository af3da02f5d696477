"""The clients' side of the data plane.

| module | holds |
|---|---|
| `listener` | listening sockets: opened, changed and closed while requests flow |
| `h1` | HTTP/1 connections, and the stream to which a request writes its response |
| `state` | the listener of a connection, as the connection sees it |
| `routing` | the route of a request, or the answer to a request without one |
| `answers` | answers without an exchange |
| `spelling` | paths that servers read differently |
| `peer` | the client of a connection, or of a request that a trusted proxy sends |
| `presence` | whether a client is still there, by the kernel's knowledge of its connection |
| `guards` | limits of connections, file descriptors and waiting time |
"""
