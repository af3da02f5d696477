"""Opening connections to endpoints: connection limits, pending requests, hedged connects."""
