"""Actors that watch endpoints: probes, stalls, outliers, and what workers tell each other."""
