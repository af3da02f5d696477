"""The snapshot and the messages that carry it: the only contract between control plane and data plane."""
