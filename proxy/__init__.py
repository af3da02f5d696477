"""The data plane of fleetgate: model ▸ routing, http ▸ upstream ▸ exchange ▸ downstream ▸ worker."""

__version__ = "0.1.0"
