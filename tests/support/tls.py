"""A Fleet with an HTTPS listener, Ingresses with spec.tls, and Secrets of certificates."""

import base64
from typing import Any

from controlplane.resources.meta import ObjectMeta
from controlplane.resources.secret import Secret
from controlplane.resources.view import TlsSecrets
from controlplane.translate.builder import translate
from controlplane.translate.keypairs import KeyPairs
from controlplane.translate.model import Facts, LastGood, Translation
from proxy.model.snapshot import Snapshot
from tests.support.certificates import Authority
from tests.support.translation import Manifest, deployed, fleet_of, member_of

AUTHORITY = Authority()
HOST = "shop.example.com"


def secret(namespace: str, name: str, *hosts: str, days: float = 90.0) -> Secret:
    pair = AUTHORITY.issue(*hosts, days=days)
    data = {"tls.crt": pair.chain, "tls.key": pair.key}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return Secret(ObjectMeta(namespace=namespace, name=name), "kubernetes.io/tls", encoded)


def known(*secrets: Secret, namespaces: tuple[str, ...] = ("shop",)) -> TlsSecrets:
    by_namespace: dict[str, dict[str, Secret]] = {namespace: {} for namespace in namespaces}
    for each in secrets:
        by_namespace.setdefault(each.metadata.namespace, {})[each.metadata.name] = each
    return TlsSecrets(by_namespace)


def gateway(*certificates: Manifest, **listener: Any) -> list[Manifest]:
    https = {"port": 443, "protocol": "HTTPS", "certificates": list(certificates), **listener}
    return [
        {
            "kind": "AlbConfig",
            "metadata": {
                "name": "gw",
                "annotations": {"alb.ingress.kubernetes.io/remote-clusters": "cluster-1"},
            },
            "spec": {"listeners": [{"port": 80, "protocol": "HTTP"}, https]},
        },
        {
            "kind": "IngressClass",
            "metadata": {"name": "alb"},
            "spec": {
                "controller": "ingress.k8s.alibabacloud/alb",
                "parameters": {"apiGroup": "alibabacloud.com", "kind": "AlbConfig", "name": "gw"},
            },
        },
    ]


def ingress(
    name: str, host: str = HOST, *, namespace: str = "shop", tls: list[Manifest] | None = None,
    created: str = "2026-01-01T00:00:00Z", **annotations: str,
) -> Manifest:  # fmt: skip
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    paths = [{"path": f"/{name}", "pathType": "Prefix", "backend": backend}]
    keys = {f"alb.ingress.kubernetes.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "kind": "Ingress",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "creationTimestamp": created,
            "annotations": keys,
        },
        "spec": {
            "ingressClassName": "alb",
            "tls": tls or [],
            "rules": [{"host": host, "http": {"paths": paths}}],
        },
    }


def entry(secret_name: str, *hosts: str) -> Manifest:
    return {"hosts": list(hosts), "secretName": secret_name} if secret_name else {"hosts": list(hosts)}


def translated(
    manifests: list[Manifest],
    secrets: TlsSecrets,
    earlier: Translation | None = None,
    today: str = "",
    previous: Snapshot | None = None,
) -> Translation:
    members = {"cluster-1": member_of("cluster-1", deployed({"shop/web": 1, "other/web": 1}, "10.0.1"))}
    facts = Facts("192.0.2.1", frozenset({"cluster-1"}), today=today)
    used = (earlier.pairs, earlier.authorities) if earlier is not None else ({}, {})
    pairs = KeyPairs(secrets, *used)
    return translate(fleet_of(manifests), members, facts, LastGood(), 1, previous, pairs)
