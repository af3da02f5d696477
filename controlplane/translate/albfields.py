"""Every known field of an AlbConfig, with a note where the field has no effect here."""

from typing import Final

from controlplane.translate.access import ACL_FIELDS
from controlplane.translate.fields import Field

_CLOUD: Final = "it describes a cloud load balancer, which this gateway does not create"
_EVERYWHERE: Final = "listeners are open on every address of the machine"
_NO_TLS: Final = "an HTTP listener has no TLS"
_OTHER_HEADER: Final = "endpoints learn of the certificate of a client in X-Forwarded-Client-Cert"
_CERTIFICATE_HEADERS: Final = ("SubjectDN", "IssuerDN", "Fingerprint", "ClientVerify")
_TRUSTED: Final = "trusted proxies are the same for all listeners: start fleetgate with --trusted-proxy"

CONFIG: Final = (
    # Fields of the tutorials that describe an ordinary load balancer
    *map(Field, ("name", "addressAllocatedMode", "zoneMappings", "deletionProtectionEnabled")),
    *(
        Field(name, _CLOUD)
        for name in (
            "id", "resourceGroupId", "forceOverride", "listenerForceOverride", "billingConfig", "tags",
            "modificationProtectionConfig",
        )
    ),
    *(
        Field(name, _EVERYWHERE, neutral=("Internet",), matters=True)
        for name in ("addressType", "ipv6AddressType")
    ),
    Field("addressIpVersion", "listeners take IPv4 and IPv6", neutral=("DualStack", "IPv4")),
    Field(
        "edition", "there is no web application firewall", neutral=("Standard", "Basic"), matters=True
    ),
    Field("accessLogConfig", "the access log goes where --access-log of fleetgate says"),
)  # fmt: skip

SPEC: Final = (Field("config", fields=CONFIG), Field("listeners"))  # listeners one by one: LISTENER

_FORWARDED: Final = (
    *(Field(f"XForwardedFor{name}Enabled") for name in ("", "Proto", "SLBPort", "ClientSrcPort")),
    Field("XForwardedForSLBIdEnabled", "there is no load balancer with an id"),
    *(
        Field(f"XForwardedForClientCert{name}Enabled", _OTHER_HEADER, matters=True)
        for name in _CERTIFICATE_HEADERS
    ),
    *(Field(f"XForwardedForClientCert{name}Alias") for name in _CERTIFICATE_HEADERS),
    Field("XForwardedForClientSourceIpsEnabled", _TRUSTED, matters=True),
    Field("XForwardedForClientSourceIpsTrusted", _TRUSTED, matters=True),
)

_COMMON: Final = (
    # Read in translate/listeners.py
    *map(Field, ("port", "protocol", "description", "idleTimeout", "requestTimeout", "gzipEnabled")),
    Field("aclConfig", fields=tuple(map(Field, ACL_FIELDS))),
    Field("xForwardedForConfig", fields=_FORWARDED),
    Field("caEnabled"),
    Field(
        "quicConfig",
        fields=(Field("quicUpgradeEnabled", "HTTP/3 is not offered"), Field("quicListenerId")),
    ),
    Field(
        "logConfig",
        fields=(
            Field("accessLogRecordCustomizedHeadersEnabled", "the fields of the access log are fixed"),
            Field(
                "accessLogTracingConfig",
                fields=(
                    Field("tracingEnabled", "requests are not traced"),
                    Field("tracingType"),
                    Field("tracingSample"),
                ),
            ),
        ),
    ),
    Field("defaultActions", "requests that no rule matches are answered 404", matters=True),
)

LISTENER: Final = (
    *_COMMON,
    Field("http2Enabled", "without TLS, a client begins with HTTP/2 or HTTP/1.1 as it likes"),
    *(Field(name, _NO_TLS, matters=True) for name in ("securityPolicyId", "certificates", "caCertificates")),
)

HTTPS_LISTENER: Final = (
    *_COMMON,
    # Read in translate/tlsfields.py
    *map(Field, ("securityPolicyId", "certificates", "http2Enabled", "caCertificates")),
)
