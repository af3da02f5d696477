"""Checks that values of a snapshot can be used. The translation runs them before it publishes a snapshot, a
worker before it compiles one. Pure; the checks know HTTP, and no particular data plane.
"""
