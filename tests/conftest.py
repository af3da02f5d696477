"""What holds for all tests."""

from hypothesis import settings

# A case that takes long on a busy machine is no failure: pytest's timeout finds what never ends
settings.register_profile("fleetgate", deadline=None)
settings.load_profile("fleetgate")
