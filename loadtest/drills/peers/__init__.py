"""The proxies of the drills, each configured as its documentation recommends for clusters that fail.

All share the requests evenly over two clusters, may try a GET three times within three seconds, a POST only
where the endpoint cannot have seen it, and give up one try after a second where that can be set apart.
"""

from typing import Protocol

from loadtest.drills.site import Site


class Running(Protocol):
    """A proxy that serves."""

    @property
    def pid(self) -> int:
        """Id of the process that serves at first."""
        ...

    def remove(self) -> None:
        """Take the endpoints of cluster-2 away, in the proxy's own way."""
        ...

    def restore(self) -> None: ...

    def stop(self) -> None: ...


class Peer(Protocol):
    @property
    def name(self) -> str: ...

    def version(self) -> str: ...

    def start(self, site: Site, core: int) -> Running:
        """Start the proxy on a core, with one worker; return when it serves. Raises StartError."""
        ...
