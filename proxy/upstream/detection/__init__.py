"""Actors that watch endpoints: probes, stalls, outliers, and messages between workers."""
