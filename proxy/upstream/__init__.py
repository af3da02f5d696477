"""Where requests go: clusters, endpoints and connections. Each line imports only from those below it.

plan              a route, bound to live services
detection         actors: outliers, half-open probes, liveness probes, stalls, evidence of other workers
retries           which failed attempts are repeated, and where; the memory and the load they may cost
balancing         which cluster and which endpoint
dialing           opening connections: limits, hedged connects
service, cluster  what the snapshot describes, and what became of it; `recovery` brings clusters back
suspects, waiting what an endpoint looks like at the moment
endpoint          its breaker and its pool; `cluster_state` is what the endpoints of a cluster share
connections       HTTP/1.1 over a socket, and the counters of connection limits
evidence          pure: failures, times, breakers, ramps, budgets; `algorithms`: hashing, round robin
"""
