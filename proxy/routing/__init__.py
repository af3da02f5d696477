"""Which route a request takes, and how its traffic is divided: pure functions of the snapshot."""
