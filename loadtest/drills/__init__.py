"""Failure drills: one of two clusters fails in a dozen ways, before fleetgate, Envoy, HAProxy and nginx."""
