"""The 30 scenarios of kubernetes-sigs/ingress-controller-conformance, as a table.

`number` is the place in the suite, `service` who has to answer, "" nobody.
Scenarios 13 (invalid class) and 14 (load balancing) are no single question, and 7 wants HTTPS, which is not
served yet: they have tests of their own.
"""

from dataclasses import dataclass
from typing import Final

HTTPS: Final = 7
ADDRESS: Final = ""
"""Host of a request to the address itself."""


@dataclass(frozen=True)
class Scenario:
    number: int
    feature: str
    method: str
    host: str
    path: str
    service: str

    def __str__(self) -> str:
        return f"{self.number:02}-{self.method}-{self.host or 'address'}{self.path}"


@dataclass(frozen=True)
class Service:
    name: str
    port: int
    port_name: str = ""


FEATURES: Final = {
    "default-backend": (Service("echo-service", 3000),),
    "host-rules": (Service("wildcard-foo-com", 8080), Service("foo-bar-com", 80, "http")),
    "ingress-class": (Service("echo-service", 3000),),
    "load-balancing": (Service("echo-service", 8080),),
    "path-rules": tuple(
        Service(name, 8080)
        for name in (
            "foo-exact", "foo-prefix", "foo-slash-exact",
            "aaa-prefix", "aaa-bbb-prefix", "aaa-bbb-slash-prefix",
        )
    ),
}  # fmt: skip
"""The services that the Ingresses of `features/<name>.yaml` route to."""

DEFAULT, HOSTS, PATHS = "default-backend", "host-rules", "path-rules"
EXACT, PREFIX, MIXED, SLASH = (
    f"{kind}-path-rules" for kind in ("exact", "prefix", "mixed", "trailing-slash")
)

SCENARIOS: Final = (
    Scenario(1, DEFAULT, "GET", "my-host", "/", "echo-service"),
    Scenario(2, DEFAULT, "GET", "my-host", "/sub-path", "echo-service"),
    Scenario(3, DEFAULT, "POST", "some-host", "/", "echo-service"),
    Scenario(4, DEFAULT, "PUT", ADDRESS, "/resource", "echo-service"),
    Scenario(5, DEFAULT, "DELETE", "some-host", "/resource", "echo-service"),
    Scenario(6, DEFAULT, "PATCH", "my-host", "/resource", "echo-service"),
    Scenario(HTTPS, HOSTS, "GET", "foo.bar.com", "/", "foo-bar-com"),
    Scenario(8, HOSTS, "GET", "foo.bar.com", "/", "foo-bar-com"),
    Scenario(9, HOSTS, "GET", "subdomain.bar.com", "/", ""),
    Scenario(10, HOSTS, "GET", "bar.foo.com", "/", "wildcard-foo-com"),
    Scenario(11, HOSTS, "GET", "baz.bar.foo.com", "/", ""),
    Scenario(12, HOSTS, "GET", "foo.com", "/", ""),
    Scenario(15, PATHS, "GET", EXACT, "/foo", "foo-exact"),
    Scenario(16, PATHS, "GET", EXACT, "/foo/", ""),
    Scenario(17, PATHS, "GET", EXACT, "/FOO", ""),
    Scenario(18, PATHS, "GET", EXACT, "/bar", ""),
    Scenario(19, PATHS, "GET", PREFIX, "/foo", "foo-prefix"),
    Scenario(20, PATHS, "GET", PREFIX, "/foo/", "foo-prefix"),
    Scenario(21, PATHS, "GET", PREFIX, "/FOO", ""),
    Scenario(22, PATHS, "GET", PREFIX, "/aaa/bbb", "aaa-bbb-prefix"),
    Scenario(23, PATHS, "GET", PREFIX, "/aaa/bbb/ccc", "aaa-bbb-prefix"),
    Scenario(24, PATHS, "GET", PREFIX, "/aaa/ccc", "aaa-prefix"),
    Scenario(25, PATHS, "GET", PREFIX, "/aaaccc", ""),
    Scenario(26, PATHS, "GET", PREFIX, "/foo/", "foo-prefix"),
    Scenario(27, PATHS, "GET", MIXED, "/foo", "foo-exact"),
    Scenario(28, PATHS, "GET", SLASH, "/aaa/bbb", "aaa-bbb-slash-prefix"),
    Scenario(29, PATHS, "GET", SLASH, "/aaa/bbb/", "aaa-bbb-slash-prefix"),
    Scenario(30, PATHS, "GET", SLASH, "/foo", ""),
)
