"""Clients of HTTP/2: a connection, and the streams on it.

    connection ▸ streams ▸ stream ▸ outbox

`connection` reads frames and keeps the rules of the connection, `streams` those of stream numbers. A `stream`
is the client's side of one request. The `outbox` collects frames until the end of a turn of the event loop.
"""
