"""The resource version a reflector goes on from: which may be remembered, and when it means nothing."""

from controlplane.kube.errors import StreamBroken

NEWEST = ""
ANY = "0"


class Cursor:
    """Versions are opaque except that those of one kind compare as numbers (KEP-5504)."""

    __slots__ = ("version",)

    def __init__(self) -> None:
        self.version = ANY  # any state the cache of the server has will do for the first list

    def forget(self) -> None:
        """The server does not know our version: the next list asks for the newest state."""
        self.version = NEWEST

    def bookmark(self, version: str) -> None:
        """Remember the version of a bookmark. Raises StreamBroken when it is older than the last one."""
        self.check(version)
        self.version = version or self.version

    def event(self, version: str, event_type: str) -> None:
        """Remember the version of an event. Raises StreamBroken when it is older than the last one."""
        # Without a start version the first ADDED events are the present state, in no order.
        if self.version in (NEWEST, ANY) and event_type == "ADDED":
            return
        self.bookmark(version)

    def check(self, version: str) -> None:
        """Raise StreamBroken when `version`, which the server has now, is older than ours."""
        last = self.version
        if last.isdecimal() and version.isdecimal() and int(version) < int(last):
            self.forget()  # the server was restored from a backup, or began anew
            raise StreamBroken("the resource versions of the server went backwards", relist=True)
