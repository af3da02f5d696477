"""Load scenarios and the comparison with nginx."""
