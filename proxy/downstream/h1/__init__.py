"""HTTP/1.1 and HTTP/1.0 connections of clients.

| module | holds |
|---|---|
| `connection` | transport events, requests cut out of the bytes, turns, deadlines |
| `stream` | the client's side of one request after the other: responses and their framing |
| `inbox` | received bytes that wait |
| `closing` | the end of a connection, so that the client can read its answer |
| `departure` | clients that have closed their side while a request is under way |
| `unread` | the end of a request that is refused without a look at it |
"""
