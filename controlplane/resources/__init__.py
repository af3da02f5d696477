"""Typed views of Kubernetes objects: just the fields that the gateway reads."""
