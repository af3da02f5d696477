"""meta.k8s.io/v1 Tables: the columns kubectl get prints."""
