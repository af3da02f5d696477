"""Opening connections to endpoints: limits, hedged connects."""
