"""Compiled policies by their configuration: routes with equal policies share them.

Thousands of paths of an Ingress have the same headers, lists of addresses and origins. Such paths also
share the remembered heads with their changes. A compiled policy knows nothing of the route, and is kept while
the snapshot is in use; routes keep those that they took from an earlier snapshot.
"""

from proxy.model.policies import Access, Cors, HeaderChange, PathRewriteKind, Policies, ResponseRule, Rewrite
from proxy.model.snapshot import PathMatch
from proxy.policies.access import AccessList
from proxy.policies.changes import Changes
from proxy.policies.cors import CorsPolicy
from proxy.policies.requests import RequestChanges
from proxy.policies.responses import ResponseChanges, Rule
from proxy.policies.rewrite import Rewriter

_Request = tuple[tuple[HeaderChange, ...], Rewrite | None, PathMatch | None]
"""Changes and rewrite, with the path where the rewrite replaces the part that the path matched."""
_Response = tuple[Cors | None, tuple[HeaderChange, ...], tuple[ResponseRule, ...], str | None]


class Compiled:
    """The policies of a snapshot. Every method raises PolicyError and PatternError for an unusable policy."""

    __slots__ = ("_access", "_cors", "_requests", "_responses")

    def __init__(self) -> None:
        self._access: dict[Access, AccessList] = {}
        self._cors: dict[Cors, CorsPolicy] = {}
        self._requests: dict[_Request, RequestChanges] = {}
        self._responses: dict[_Response, ResponseChanges] = {}

    def access(self, config: Access) -> AccessList:
        found = self._access.get(config)
        if found is None:
            found = self._access[config] = AccessList(config)
        return found

    def cors(self, config: Cors) -> CorsPolicy:
        found = self._cors.get(config)
        if found is None:
            found = self._cors[config] = CorsPolicy(config)
        return found

    def request(self, policies: Policies, path: PathMatch) -> RequestChanges | None:
        rewrite, changes = policies.rewrite, policies.request_headers
        if rewrite is None and not changes:
            return None
        matched = rewrite is not None and rewrite.path_kind is PathRewriteKind.MATCHED
        key = (changes, rewrite, path if matched else None)
        found = self._requests.get(key)
        if found is None:
            rewriter = Rewriter(rewrite, path) if rewrite is not None else None
            found = RequestChanges(rewriter, Changes(changes) if changes else None)
            self._requests[key] = found
        return found

    def response(self, policies: Policies) -> ResponseChanges | None:
        key = (policies.cors, policies.response_headers, policies.response_rules, policies.hsts)
        if key == (None, (), (), None):
            return None
        found = self._responses.get(key)
        if found is None:
            cors = self.cors(policies.cors) if policies.cors is not None else None
            changes = Changes(policies.response_headers) if policies.response_headers else None
            rules = [Rule(rule) for rule in policies.response_rules]
            found = ResponseChanges(cors, changes, rules, policies.hsts)
            self._responses[key] = found
        return found
