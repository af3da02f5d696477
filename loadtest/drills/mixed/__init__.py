"""The drill `mixed`: slow requests among fast ones under one rule, each executed exactly once."""
