"""Who may come."""

import pytest

from proxy.model.policies import Access
from proxy.policies.access import AccessList
from proxy.policies.errors import PolicyError


@pytest.mark.parametrize(
    ("allow", "deny", "client", "expected"),
    [
        ((), (), b"192.0.2.1", True),
        (("192.0.2.0/24",), (), b"192.0.2.1", True),
        (("192.0.2.0/24",), (), b"198.51.100.1", False),
        ((), ("192.0.2.0/24",), b"192.0.2.1", False),
        ((), ("192.0.2.0/24",), b"198.51.100.1", True),
        (("192.0.2.0/24",), ("192.0.2.7",), b"192.0.2.7", False),
        (("192.0.2.0/24",), ("192.0.2.7",), b"192.0.2.8", True),
        (("2001:db8::/32",), (), b"2001:db8::1", True),
        (("2001:db8::/32",), (), b"192.0.2.1", False),
        (("192.0.2.1",), (), b"::ffff:192.0.2.1", True),
        # nobody: refused by every list
        (("0.0.0.0/0",), (), b"unknown", False),
        ((), ("192.0.2.0/24",), b"unknown", False),
        (("0.0.0.0/0",), ("192.0.2.0/24",), b"unknown", False),
        ((), (), b"unknown", True),
        (("0.0.0.0/0",), (), b"nonsense", False),
    ],
)
def test_permits(allow: tuple[str, ...], deny: tuple[str, ...], client: bytes, expected: bool) -> None:
    access = AccessList(Access(allow, deny))
    assert [access.permits(client) for _ in range(2)] == [expected, expected]


def test_a_network_that_is_none() -> None:
    with pytest.raises(PolicyError, match="nonsense"):
        AccessList(Access(("nonsense",)))
