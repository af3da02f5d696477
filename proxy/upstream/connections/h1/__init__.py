"""HTTP/1 to endpoints: one request at a time on each connection."""
