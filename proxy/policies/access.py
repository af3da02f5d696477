"""Which client addresses may come."""

from proxy.model.policies import Access
from proxy.policies.errors import demand
from proxy.routing.networks import Networks, is_address
from proxy.validation.policies import of_access


class AccessList:
    """Networks whose clients may come, and networks whose clients may not: the latter win."""

    __slots__ = ("_allow", "_deny")

    def __init__(self, config: Access) -> None:
        """Read the networks of `config`. Raises PolicyError for a text that is no network in CIDR form."""
        demand(of_access(config))
        self._allow = Networks(config.allow) if config.allow else None
        self._deny = Networks(config.deny)

    def permits(self, client: bytes) -> bool:
        """Whether this address may come. An unreadable address may come only where no address is refused: the
        address could be a refused one.
        """
        allow = self._allow
        if self._deny and (self._deny.covers(client) or not is_address(client)):
            return False
        return allow is None or allow.covers(client)
