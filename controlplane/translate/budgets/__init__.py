"""Budgets of one Ingress, and of all those of a host; an Ingress over a budget is refused with a finding."""
