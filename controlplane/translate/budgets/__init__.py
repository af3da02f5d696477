"""What one Ingress, and all of a host together, may cost a worker: what is more is refused, and named."""
