"""The life of one request; `exchange` holds the order of its phases.

| module | holds |
|---|---|
| `exchange` | the phases in their order: pick, attempt, head, body, end |
| `record` | the state of the request, and its phase |
| `downstream` | the interface to which a response is written, and the client's data |
| `dispatch` | the attempts, one after the other, until an endpoint answers |
| `attempt` | one try on one endpoint; `connecting` gets the stream for it |
| `outgoing` | the request head as endpoints get it |
| `replay` | the request body, for as long as it can be sent again |
| `retry` | the decision after a failed attempt |
| `deadlines` | until when a response must have begun |
| `policy` | the request and its response on their way through policies |
| `relay` | the body of a response on its way to the client |
| `tunnel` | a connection that has switched to another protocol |
| `mirror` | the copy of a request |
| `accounting` | metrics and log line at the end |
"""
