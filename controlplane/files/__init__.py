"""Manifests in files, with the place of every field, for `validate`, `explain -f` and `diff`."""
