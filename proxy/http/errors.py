"""Exceptions that the parsers raise."""


class RequestError(Exception):
    """The client's request cannot be accepted: answer `status`, close, send nothing upstream."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class ResponseError(Exception):
    """The endpoint's response cannot be trusted: 502 to the client, the connection is destroyed."""
