"""The clients' side of the data plane.

| module | holds |
|---|---|
| `listener` | listening sockets: opened, changed and closed while requests flow |
| `h1` | HTTP/1 connections, and the stream to which a request writes its response |
| `state` | what connections know of their listener |
| `routing` | the route of a request, or the answer to one that has none |
| `answers` | answers without an exchange |
| `spelling` | paths that servers read differently |
| `peer` | the client of a connection, or of a request that a trusted proxy sends |
| `presence` | what the kernel knows of a client |
| `guards` | limits of connections, file descriptors and waiting time |
"""
