"""Bearer tokens of clients that may talk to the server, and the review APIs that answer about them."""

from __future__ import annotations

import hmac
from typing import Any

from controlplane.embedded.errors import bad_request

USER = {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]}
# kube-apiserver answers these paths without a token (system:public-info-viewer).
PUBLIC = ("/livez", "/readyz", "/healthz", "/version")


class Tokens:
    """The tokens that are accepted; all of them are administrators."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = [token.encode() for token in tokens]

    def accepts(self, authorization: str | None) -> bool:
        scheme, _, value = (authorization or "").partition(" ")
        given = value.strip()
        if scheme.lower() != "bearer":
            return False
        raw = given.encode()
        return bool(raw) and any(hmac.compare_digest(raw, token) for token in self._tokens)


def review(kind: str, body: dict[str, Any], tokens: Tokens) -> dict[str, Any]:
    """The answer to one of the create-only review kinds."""
    spec = body.get("spec") or {}
    match kind:
        case "SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview":
            if not spec.get("resourceAttributes") and not spec.get("nonResourceAttributes"):
                raise bad_request("spec.resourceAttributes or spec.nonResourceAttributes is required")
            status: dict[str, Any] = {"allowed": True}
        case "SelfSubjectRulesReview":
            status = {
                "incomplete": False,
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            }
        case "SelfSubjectReview":
            status = {"userInfo": USER}
        case _:
            known = tokens.accepts(f"Bearer {spec.get('token', '')}")
            status = {"authenticated": True, "user": USER} if known else {"error": "unknown token"}
    return {**body, "metadata": body.get("metadata") or {}, "spec": spec, "status": status}


# group, plural, kind, namespaced
REVIEWS = (
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", False),
    ("authentication.k8s.io", "tokenreviews", "TokenReview", False),
    ("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", True),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", False),
)
