"""Policies of routes: changes to requests and responses besides forwarding, compiled once per route."""
