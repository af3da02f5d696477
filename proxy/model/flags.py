"""Why a request ended as it did: one table for the access log, the metrics and the documentation.

The letters are Envoy's response flags where one fits, because people know them by heart.
"""

from typing import Final

FLAGS: Final[dict[str, str]] = {
    "-": "answered normally",
    "NR": "no route matched (404)",
    "UH": "the route has no usable endpoint in any cluster (503)",
    "UF": "no attempt could connect (502; 503 if this machine lacked descriptors or ports)",
    "UC": "the endpoint closed the connection before or during its response (502, or a cut response)",
    "UT": "the endpoint did not answer in time (504)",
    "UPE": "the endpoint's response broke the protocol (502)",
    "UO": "the service has too many connections and waiting requests in every allowed cluster (503)",
    "DC": "the client went away first",
    "DPE": "the client's request broke the protocol or a limit (4xx)",
    "DT": "the client was too slow (408)",
    "SI": "a tunnel carried nothing for too long",
    "OM": "the worker is overloaded and the request had waited too long (503)",
    "OC": "the limit of client connections was reached (503)",
    "AD": "the client's address is not allowed (403)",
    "LD": "the request has passed this gateway before, or too many others (508)",
    "RL": "turned away by a rate limit of the route",
    "CL": "turned away by a concurrency limit of the route",
    "MD": "the TLS of the connection is that of another host (421)",
    "LR": "the gateway answered the request itself",
    "CF": "answered, after failing over to another cluster",
}
