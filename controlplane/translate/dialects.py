"""The two ways in which Ingresses are written: whose annotations are read, with whose defaults."""

from enum import StrEnum


class Dialect(StrEnum):
    ALB = "ALB"  # of an AlbConfig
    MSE = "MSE"  # of an MseIngressConfig: mse.ingress… and nginx.ingress…
