"""The table of served kinds and the rules that hold for all of them."""
