"""Measurements beside other proxies, and load scenarios; `kit` has their common parts."""
