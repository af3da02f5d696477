"""Schemas of the kinds the embedded API server serves: builtin ones as data, custom ones from their CRD."""
