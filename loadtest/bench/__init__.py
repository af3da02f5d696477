"""The parts of the comparison: the peers, what they serve, and the measuring."""
