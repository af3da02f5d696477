"""Defaults and validation of the builtin kinds, one module per family."""
