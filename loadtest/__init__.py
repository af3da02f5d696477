"""Measurements beside other proxies, and load scenarios; `kit` is what they share."""
