"""The HTTP side: requests in, Kubernetes answers out."""
