"""Manifests in files, with the place of every field: what `validate`, `explain -f` and `diff` read."""
