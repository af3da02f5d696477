"""Connections to endpoints: requests and responses, body streams, watches, counters of limits."""
