"""Every finding the translation can make: the one table behind Events, conditions, `validate` and docs.

Codes are stable: a retired code is never used again. `error` is an unusable value, `warning` a value that
works differently from its text, `info` a fact worth knowing.
"""

from typing import Final, Literal

import msgspec

Level = Literal["error", "warning", "info"]


class Entry(msgspec.Struct, frozen=True):
    """One kind of finding. `message`, `allowed` and `fix` are templates for str.format."""

    level: Level
    reason: str  # of the Event
    message: str
    allowed: str = ""
    fix: str = ""


_ANNOTATION_VALUE = "correct the value"
_PORT = "an integer from 1 to 65535"

CATALOGUE: Final[dict[str, Entry]] = {
    # Objects and classes
    "FG0100": Entry(
        "error", "InvalidObject", "cannot be read: {problem}", "", "correct the field and apply again"
    ),
    "FG0101": Entry(
        "warning",
        "IngressClassNotFound",
        "IngressClass {name} does not exist{hint}; the Ingress is not served",
        "an IngressClass whose controller is ingress.k8s.alibabacloud/alb or mse.alibabacloud.com/ingress,"
        " or spec.ingress.local.ingressClass of an MseIngressConfig",
        "create the IngressClass or correct the name",
    ),
    "FG0102": Entry(
        "error",
        "IngressClassNotFound",
        "IngressClass {name} does not refer to an {kind}; the Ingress is not served",
        "spec.parameters with apiGroup {group}, kind {kind} and a name",
        "set spec.parameters of the IngressClass",
    ),
    "FG0103": Entry(
        "error",
        "AlbConfigNotFound",
        "AlbConfig {name} does not exist{hint}; the Ingress is not served",
        "the name of an AlbConfig on the Fleet",
        "create the AlbConfig or correct the name",
    ),
    "FG0104": Entry(
        "warning",
        "NotSelected",
        "MseIngressConfig {gateway} watches the namespace {watched} only; the Ingress is not served",
        "an Ingress in the namespace {watched}",
        "clear spec.ingress.local.watchNamespace of the MseIngressConfig, or use another IngressClass",
    ),
    "FG0105": Entry(
        "error",
        "MseIngressConfigNotFound",
        "MseIngressConfig {name} does not exist{hint}; the Ingress is not served",
        "the name of an MseIngressConfig on the Fleet",
        "create the MseIngressConfig or correct the name",
    ),
    "FG0106": Entry(
        "warning",
        "Conflict",
        "Ingresses of this class belong to the older MseIngressConfig {owner}",
        "a class or a namespace that no other MseIngressConfig takes",
        "use another class, or an IngressClass that refers to this MseIngressConfig",
    ),
    "FG0107": Entry(
        "info",
        "NotSelected",
        "no Ingress is served: the MseIngressConfig takes no class, and no IngressClass refers to it",
        'the name of a class; "" for all Ingresses',
        "set spec.ingress.local.ingressClass",
    ),
    # Annotations
    "FG0201": Entry("error", "InvalidAnnotation", "{problem}", "{allowed}", _ANNOTATION_VALUE),
    "FG0202": Entry(
        "info",
        "Approximated",
        "works differently from its dialect: {note}",
        "",
        "nothing has to be done where this difference does not matter",
    ),
    "FG0203": Entry(
        "error",
        "NotSupported",
        "is not supported: {note}",
        "{allowed}",
        "use another annotation, or leave the Ingress to a controller that supports this annotation",
    ),
    "FG0204": Entry(
        "info", "NoEffect", "has no effect: {note}", "", "nothing has to be done, unless you rely on it"
    ),
    "FG0205": Entry("warning", "InvalidAnnotation", "is read on {scope} only", "", "move it to the {scope}"),
    "FG0206": Entry(
        "warning",
        "InvalidAnnotation",
        "no rule of this Ingress has the backend service {service}{hint}",
        "a backend service of this Ingress: {services}",
        "correct the name after the last dot",
    ),
    "FG0207": Entry(
        "info",
        "NoEffect",
        "belongs to another dialect and is not read for this class",
        "",
        "nothing has to be done, unless you rely on it",
    ),
    "FG0208": Entry(
        "warning", "InvalidAnnotation", "field {name} is not known{hint}", "{allowed}", "remove the field"
    ),
    "FG0209": Entry(
        "warning",
        "NotSupported",
        "is a protocol that health checks do not speak: no checks are made, and readiness in Kubernetes"
        " and the outcome of requests decide which endpoints serve",
        "HTTP, HTTPS, TCP",
        "choose one of these protocols",
    ),
    "FG0210": Entry(
        "error",
        "ProtectionNotSupported",
        "protects the Ingress, and cannot be honoured: {note}",
        "{allowed}",
        "{remedy}",
    ),
    "FG0211": Entry(
        "error",
        "ProtectionNotSupported",
        "unknown annotation, and its name suggests that it protects the Ingress{hint}",
        "",
        "correct the key, or protect the Service in another way before you change the annotation",
    ),
    "FG0212": Entry(
        "warning",
        "NotSupported",
        "has no effect here, and clients or applications may rely on it: {note}",
        "",
        "{remedy}",
    ),
    "FG0213": Entry("warning", "InvalidAnnotation", "unknown annotation{hint}", "", "correct the key"),
    "FG0214": Entry(
        "warning",
        "OtherController",
        "the AWS Load Balancer Controller reads {keys}, and this gateway does not: the Ingress seems to be"
        " written for AWS",
        "the annotations of ALB on Alibaba Cloud, in docs/annotations.md",
        "leave the Ingress to the AWS controller, or write the Ingress for this gateway",
    ),
    "FG0230": Entry(
        "warning",
        "RedirectsForEver",
        "every request is redirected for ever, because no request can come by https: the gateway has no"
        " HTTPS listener, and trusts no proxy in front of it to say X-Forwarded-Proto: https",
        "",
        "start the gateway with --trusted-proxy and the addresses of the proxy that takes HTTPS, or remove"
        " the annotation",
    ),
    "FG0231": Entry(
        "warning",
        "RedirectsForEver",
        "requests that a trusted proxy reports as https are redirected to their own URL, for ever",
        "the annotation ssl-redirect, which redirects only requests that came by http",
        "forward the rule to a Service, with the annotation alb.ingress.kubernetes.io/ssl-redirect: true",
    ),
    "FG0232": Entry(
        "warning",
        "NoEffect",
        "sends no request to the canary: {decides} alone decides for this Ingress, where ingress-nginx"
        " would go on to this annotation for requests without it",
        "one way to choose the requests of a canary",
        "write a second canary Ingress that has this annotation without {decides}",
    ),
    # The Ingress spec
    "FG0301": Entry(
        "error", "InvalidRule", "{problem}", "a DNS name, *.<DNS name>, or nothing", "correct the host"
    ),
    "FG0302": Entry("error", "InvalidRule", "{problem}", "{allowed}", "correct the path"),
    "FG0303": Entry(
        "error",
        "InvalidRule",
        "is not a path type",
        "Exact, Prefix or ImplementationSpecific",
        "correct the pathType",
    ),
    "FG0304": Entry("error", "InvalidRule", "{problem}", "{allowed}", "correct the backend"),
    "FG0305": Entry(
        "error",
        "InvalidRule",
        "resource backends ({resource}) are not supported",
        "a service with a port",
        "use a service as backend",
    ),
    "FG0306": Entry(
        "warning",
        "InvalidRule",
        "the rule has no paths and the Ingress no defaultBackend: it routes nothing",
        "http.paths, or spec.defaultBackend",
        "add a path to the rule",
    ),
    "FG0307": Entry(
        "warning",
        "ListenerNotFound",
        "the rules are served over HTTP only: {cause}",
        "",
        "add an HTTPS listener to the gateway, and name it where listen-ports names listeners",
    ),
    "FG0320": Entry(
        "warning",
        "CertificateNotFound",
        "the gateway may not read Secrets of the namespace {namespace}; {effect}",
        "",
        "let it: bind the ClusterRole fleetgate-certificates in that namespace (deploy/rbac/fleet-tls.yaml)",
    ),
    "FG0321": Entry(
        "warning",
        "CertificateNotFound",
        "no such Secret of type kubernetes.io/tls; clients of its hosts get the default certificate, or none",
        "a Secret of type kubernetes.io/tls in the namespace {namespace}",
        "create the Secret: kubectl -n {namespace} create secret tls",
    ),
    "FG0322": Entry(
        "warning",
        "InvalidCertificate",
        "cannot be used: {problem}; {effect}",
        "a certificate, its chain, and its private key without a passphrase, as PEM",
        "put a matching pair into the Secret",
    ),
    "FG0323": Entry(
        "warning",
        "InvalidCertificate",
        "clients refuse the certificate for {host}: it is for {names}",
        "a certificate for {host}, or for the wildcard above it",
        "put a certificate for the host into the Secret",
    ),
    "FG0324": Entry(
        "warning",
        "CertificateNotFound",
        "no Secret of type kubernetes.io/tls in the namespace {namespace} has a certificate for {host}",
        "a Secret whose certificate is for the host, or secretName",
        "name the Secret in secretName, or create it",
    ),
    "FG0325": Entry(
        "warning",
        "CertificateExpires",
        "the certificate ends on {date}",
        "",
        "renew the certificate in the Secret: the next handshake uses the new one",
    ),
    "FG0326": Entry(
        "warning",
        "CertificateNotFound",
        "no such Secret with the authorities of clients; {effect}",
        "a Secret with ca.crt in the namespace {namespace}",
        "create the Secret: kubectl -n {namespace} create secret generic --from-file=ca.crt",
    ),
    "FG0327": Entry(
        "warning",
        "InvalidCertificate",
        "holds no authorities that can be used: {problem}; {effect}",
        "the certificates of authorities, as PEM, in ca.crt",
        "put the certificates of the authorities into ca.crt of the Secret",
    ),
    "FG0328": Entry(
        "warning",
        "Conflict",
        "clients of {host} are checked with the Secret {secret}, which the older Ingress {winner} names; the"
        " rules of this Ingress answer 403 there",
        "{secret}, or a host of its own",
        "name the same Secret in both Ingresses, or give this one another host",
    ),
    "FG0329": Entry(
        "warning",
        "CertificateDemanded",
        "requests for {host} on the ports {ports} are answered 403: no certificates are checked there",
        "rules on HTTPS listeners, under hosts of spec.tls",
        "redirect the host to https, name it in spec.tls, and serve it on an HTTPS listener",
    ),
    "FG0308": Entry(
        "warning",
        "InvalidRule",
        "has neither rules nor a default backend: it routes nothing",
        "spec.rules, spec.defaultBackend or both",
        "add a rule",
    ),
    "FG0309": Entry(
        "warning",
        "InvalidRule",
        "the rule changes responses, and no other rule of the Ingress has its host and a path that it covers",
        "the host and path of another rule",
        "correct host or path, or remove the rule",
    ),
    "FG0310": Entry(
        "error",
        "InvalidRule",
        "no worker could use the rule with this value of {part}: it {problem}",
        "{allowed}",
        "correct the annotation or the field that has this value",
    ),
    "FG0311": Entry(
        "warning",
        "InvalidRule",
        "{rewrite} has {group}, but the path has {count}: the group is always empty",
        "a path with groups, such as /api/(.*)",
        "add the group to the path, or remove it from the rewrite",
    ),
    "FG0312": Entry(
        "warning",
        "InvalidRule",
        "the rule never matches: requests with an underscore in a header name ({name}) are answered 400",
        "letters, digits and -",
        "name the header without underscore, in the rule and in clients",
    ),
    # Clusters
    "FG0401": Entry(
        "warning",
        "NoClusters",
        "no member cluster is attached: every request is answered 503",
        "a comma list of cluster ids; known are: {known}",
        "set the annotation {key}",
    ),
    "FG0402": Entry(
        "warning",
        "ClusterNotFound",
        "cluster {cluster} is not a member of the Fleet{hint}; it is skipped",
        "a comma list of cluster ids; known are: {known}",
        "correct the id, or register the cluster",
    ),
    "FG0403": Entry(
        "warning",
        "ClusterNotFound",
        "cluster {cluster} is not attached to {gateway}{hint}; it is skipped",
        "an attached cluster: {known}",
        "correct the id, or add the cluster to the annotation remote-clusters of {gateway}",
    ),
    "FG0404": Entry(
        "error",
        "InvalidAnnotation",
        "the cluster weights of this Ingress sum to {total}",
        "weights that sum to exactly 100",
        "change the weights so that they sum to 100",
    ),
    "FG0405": Entry(
        "error",
        "InvalidAnnotation",
        "is not a cluster weight",
        "an integer from 0 to 100",
        "correct the weight",
    ),
    # Listeners
    "FG0501": Entry("error", "InvalidListener", "{problem}", "{allowed}", "correct the listener"),
    "FG0502": Entry(
        "warning",
        "NotSupportedYet",
        "{protocol} listeners are not supported yet; port {port} is not opened",
        "HTTP, HTTPS",
        "use an HTTPS listener, or wait for a version that supports the protocol",
    ),
    "FG0503": Entry(
        "error",
        "Conflict",
        "port {port} is named by an earlier listener of this AlbConfig",
        "each port once",
        "remove one of the two listeners",
    ),
    "FG0504": Entry(
        "error",
        "Conflict",
        "port {port} belongs to the older {owner}; this gateway does not open it",
        "a port that no other gateway names",
        "use another port",
    ),
    "FG0505": Entry(
        "warning",
        "ListenerNotFound",
        "{gateway} has no listener {listener}; the rules are not installed there",
        "a listener of the gateway: {listeners}",
        "add the listener to the gateway, or correct listen-ports",
    ),
    "FG0506": Entry(
        "info",
        "ListenerNotFound",
        "{gateway} has no listener HTTP:80, the default without listen-ports;"
        " the rules are installed on {listeners}",
        "",
        "name the listener: alb.ingress.kubernetes.io/listen-ports: '[{{\"{protocol}\": {port}}}]'",
    ),
    "FG0507": Entry(
        "error",
        "ListenerFailed",
        "port {port} cannot be opened: {cause}",
        "a port that is free on this machine",
        "free the port, or use another one{remedy}",
    ),
    "FG0508": Entry(
        "warning",
        "InvalidListener",
        "the AlbConfig opens no listener: its Ingresses are not served",
        "at least one HTTP or HTTPS listener",
        "add {{port: 80, protocol: HTTP}} to spec.listeners",
    ),
    "FG0510": Entry(
        "warning",
        "ListenerNotFound",
        "{gateway} has no open listener; the rules are not installed",
        "",
        "look at the findings about {gateway}",
    ),
    "FG0515": Entry(
        "info",
        "ListenerNotFound",
        "MSE gateways also listen on HTTPS:443; without {key} only HTTP:80 is opened",
        "",
        'name the listeners: {key}: \'[{{"HTTP": 80}}, {{"HTTPS": 443}}]\'',
    ),
    # Fields of gateways
    "FG0511": Entry("info", "NoEffect", "has no effect: {note}", "", "nothing has to be done"),
    "FG0512": Entry(
        "warning",
        "NotSupported",
        "is not supported: {note}",
        "",
        "achieve it in another way, and do not rely on this field",
    ),
    "FG0513": Entry("warning", "InvalidField", "field {name} is not known{hint}", "", "correct or remove it"),
    "FG0514": Entry("error", "InvalidField", "{problem}", "{allowed}", "correct the field"),
    # Backends
    "FG0601": Entry(
        "error",
        "BackendNotFound",
        "Service {service} exists in none of the clusters {clusters}; {effect}",
        "a Service of the namespace {namespace} in at least one attached cluster",
        "create the Service, or correct the name",
    ),
    "FG0602": Entry(
        "warning",
        "BackendNotFound",
        "{cluster}: Service {service} has no port {port} (found {found}); the cluster gets no requests"
        " for it",
        "a TCP port of the Service, by number or name",
        "correct the port, or add the port to the Service",
    ),
    "FG0603": Entry(
        "warning",
        "EndpointRefused",
        "{cluster}: endpoint {address} is refused: {cause}",
        "an address that a pod can have",
        "find the author of this EndpointSlice",
    ),
    "FG0604": Entry(
        "warning",
        "PodsForbidden",
        "{cluster}: the gateway may not list pods, so it does not know the pods of Service {service} with"
        " the labels {labels}; the cluster gets no requests for this Service",
        "the verbs get, list and watch on pods of the member cluster",
        "apply deploy/rbac/member.yaml to the member cluster",
    ),
    # TLS to endpoints
    "FG0640": Entry(
        "error",
        "CertificateNotFound",
        "no such Secret of type kubernetes.io/tls; requests are answered 502",
        "a Secret of type kubernetes.io/tls with ca.crt, or with tls.crt and tls.key, or with all three",
        "create the Secret, or correct the name",
    ),
    "FG0641": Entry(
        "error",
        "InvalidCertificate",
        "cannot be used for TLS to endpoints: {problem}; {effect}",
        "in ca.crt the authorities of the endpoints, in tls.crt and tls.key the gateway's own pair, as PEM",
        "correct the Secret",
    ),
    "FG0642": Entry(
        "error",
        "RefNotPermitted",
        "the Secret belongs to the namespace {namespace}, in which no ReferenceGrant allows this"
        " reference{absence}; requests are answered 503",
        "a Secret of the namespace {own}, or one that a ReferenceGrant of the namespace {namespace} allows:"
        " from Ingress (networking.k8s.io) of the namespace {own}, to Secret {name}",
        "use a Secret of the namespace {own}, or ask the owners of {namespace} for a ReferenceGrant",
    ),
    "FG0643": Entry(
        "error",
        "CertificateNotFound",
        "the gateway may not read Secrets of the namespace {namespace}; {effect}",
        "",
        "let it: bind the ClusterRole fleetgate-certificates in that namespace (deploy/rbac/fleet-tls.yaml)",
    ),
    # Server groups
    "FG0605": Entry("error", "InvalidServerGroup", "{problem}", "{allowed}", "correct the field"),
    "FG0607": Entry(
        "error",
        "BackendNotFound",
        "no ServerGroup of the namespace {namespace} has the id or name {reference}{hint}; {effect}",
        "spec.id or metadata.name of a ServerGroup of the namespace {namespace}",
        "create the ServerGroup, or correct the id",
    ),
    "FG0608": Entry(
        "warning",
        "HostNotResolved",
        "{host} cannot be resolved: {problem}; {effect}",
        "a name that the resolver of the gateway knows",
        "correct the name, or the DNS server that the gateway uses",
    ),
    "FG0609": Entry(
        "warning",
        "EndpointRefused",
        "{host} resolves to {address}, which is refused: {cause}",
        "a name that resolves to addresses which a server can have",
        "correct the name, or find out which DNS server answers for it",
    ),
    "FG0610": Entry(
        "warning",
        "InvalidServerGroup",
        "has no server: requests for it are answered 503",
        "at least one server with address and port",
        "add a server to spec.servers",
    ),
    "FG0611": Entry(
        "warning",
        "InvalidServerGroup",
        "no server is in the zone {zone}{hint}; it is skipped",
        "a zone of a server: {zones}",
        "correct the zone, or give the zone to a server",
    ),
    "FG0612": Entry(
        "warning",
        "Conflict",
        "the older ServerGroup {owner} has this id; refer to this ServerGroup by its name",
        "an id that no other ServerGroup of the namespace has",
        "change the id of one of the two ServerGroups",
    ),
    "FG0613": Entry(
        "warning",
        "EndpointRefused",
        "the server {address} is refused: {cause}",
        "an address and port that are not the gateway's own",
        "correct the address or the port",
    ),
    # Other namespaces
    "FG0631": Entry(
        "error",
        "RefNotPermitted",
        "the Service belongs to the namespace {namespace}, in which no ReferenceGrant allows this"
        " reference{absence}; {effect}",
        "a Service of the namespace {own}, or one that a ReferenceGrant of the namespace {namespace} allows:"
        " from Ingress (networking.k8s.io) of the namespace {own}, to Service {name}",
        "use a Service of the namespace {own}, or ask the owners of {namespace} for a ReferenceGrant",
    ),
    "FG0632": Entry(
        "error",
        "RefNotPermitted",
        "the Service belongs to the namespace {namespace}, and {gateway} watches the namespace {watched}"
        " only; {effect}",
        "a Service of the namespace {watched}",
        "use a Service of the namespace {own}, or clear spec.ingress.local.watchNamespace of the gateway",
    ),
    # Health checks
    "FG0614": Entry(
        "warning",
        "HostRefused",
        "{cluster}: Service {service} stands for the host {host}, which {problem}; the cluster gets no"
        " requests for it",
        "a DNS name outside of the clusters, of two labels or more, and a port of it",
        "correct the name, or name the Service behind the host in the rule",
    ),
    "FG0620": Entry(
        "warning",
        "Conflict",
        "the older Ingress {owner} has another health check for the Service {service}; the gateway makes"
        " the check of the older Ingress",
        "the same healthcheck annotations on all Ingresses of a Service, or on only one of them",
        "remove the annotations from one of the two Ingresses, or make them equal",
    ),
    # Conflicts between Ingresses
    "FG0701": Entry(
        "warning",
        "Conflict",
        "the rule never matches: {winner} has the same host, path and conditions and comes first",
        "",
        "remove one of the two rules, or give them different conditions or orders",
    ),
    # Several Ingresses together
    "FG0705": Entry(
        "warning",
        "Conflict",
        "the addresses for this host are not used: {winner} is older and names other addresses",
        "one Ingress with domain-whitelist-source-range and domain-blacklist-source-range for a host",
        "write the right addresses on one of the two Ingresses",
    ),
    "FG0702": Entry(
        "warning",
        "CanaryWithoutBase",
        "the canary has no base and routes nothing: no other Ingress of its gateway has this host and path",
        "an Ingress without the annotation canary, with the same host, path and pathType",
        "create the base Ingress, or remove the canary annotations",
    ),
    "FG0711": Entry(
        "error",
        "RefNotPermitted",
        "the canary routes nothing: its base belongs to the namespace {namespace}, in which no"
        " ReferenceGrant allows the canary{absence}",
        "a base of the namespace {own}, or one that a ReferenceGrant of the namespace {namespace} allows:"
        " from Ingress (networking.k8s.io) of the namespace {own}, to Ingress (networking.k8s.io)",
        "move the canary to the namespace of its base, or ask the owners of {namespace} for a ReferenceGrant",
    ),
    "FG0712": Entry(
        "warning",
        "NoEffect",
        "order {order} counts among the Ingresses of the namespace {own} only: on {host} rules of {others}"
        " come first where their host and path are more specific, or as specific and older",
        "",
        "give rules that must come first a more specific host or path, or agree with the other namespace",
    ),
    "FG0713": Entry(
        "info",
        "SharedHost",
        "takes requests from {others}, because {why}",
        "",
        "nothing has to be done if both namespaces agree; with --host-ownership namespace a host belongs"
        " to one namespace",
    ),
    "FG0714": Entry(
        "warning",
        "SharedHost",
        "requests go to {others} of another namespace, because {why}",
        "",
        "agree with the other namespace; with --host-ownership namespace a host belongs to one namespace",
    ),
    "FG0715": Entry(
        "error",
        "HostOwned",
        "the host belongs to the namespace {owner}, which has an older Ingress with this host{covering}; the"
        " rules for the host are not installed",
        "a host that no other namespace had before",
        "use another host, or ask the owners of {owner} to route it",
    ),
    "FG0716": Entry(
        "error",
        "HostOwned",
        "an Ingress of the namespace {owner} has this host itself{covering}; the alias is not installed",
        "an alias that is no host of another namespace",
        "remove the alias, or ask the owners of {owner} to route the host",
    ),
    "FG0717": Entry(
        "error",
        "HostOwned",
        "the namespace {owner} has an older Ingress with this host; / of the host is not redirected",
        "app-root on a host that the namespace {own} had first",
        "remove the annotation, or ask the owners of {owner} to redirect",
    ),
    "FG0703": Entry(
        "warning",
        "CanaryWithoutBase",
        "the canary routes nothing: {answering} answers by itself, so there is no traffic to divide",
        "a base and a canary that forward to Services",
        "remove the redirect, or the canary",
    ),
    "FG0704": Entry(
        "error",
        "InvalidCanary",
        "the canaries of {base} would get {sum} of {total}; this canary, the youngest, gets nothing",
        "weights that sum to at most {total}",
        "lower the weights of the canaries, or raise canary-weight-total",
    ),
    # Budgets
    "FG0721": Entry(
        "error",
        "BudgetExceeded",
        "{found} {what} are more than the budget {budget}",
        "at most {most}",
        "divide the Ingress, make its patterns simpler, or start fleetgate with --limit {budget}=<more>",
    ),
    "FG0722": Entry(
        "error",
        "BudgetExceeded",
        "with {found} steps per octet of this Ingress a request to {host} could take {total}, more than"
        " is left of the budget {budget}{others}; {effect}",
        "at most {most} of all Ingresses of the host; {left} are left",
        "make the patterns of the Ingress simpler, or start fleetgate with --limit {budget}=<more>",
    ),
    # Between the translation and the workers
    "FG0801": Entry(
        "error",
        "RefusedByWorkers",
        "the workers refuse the rules with the current version of this object: {cause}; the earlier rules"
        " stay live",
        "",
        "undo the last change of the object, and report the cause: rules that pass the checks should be"
        " usable",
    ),
    # Registration of member clusters
    "FG0901": Entry(
        "error",
        "InvalidRegistration",
        "the label is empty: the Secret registers no cluster",
        "the id of a member cluster",
        "set the label to the id of the cluster, or remove it",
    ),
    "FG0902": Entry(
        "error",
        "ClusterConflict",
        "cluster {cluster} is registered by {owner} already; this Secret is not used",
        "one registration for each cluster",
        "remove one of the two registrations",
    ),
    "FG0903": Entry(
        "error",
        "ClusterTakeover",
        "cluster {cluster} was registered by Secret {owner}, which is gone; this Secret is not used",
        "a Secret of the name {owner}, or the annotation {key} with that name",
        "find the author of this Secret; if the takeover is intended, annotate this Secret with"
        " {key}: {owner}",
    ),
    "FG0904": Entry(
        "warning",
        "ClusterTakenOver",
        "this Secret registers cluster {cluster} in the place of Secret {owner}",
        "",
        "nothing has to be done if the takeover is intended; remove the annotation afterwards",
    ),
    "FG0905": Entry(
        "warning",
        "ClusterMoved",
        "the API server of cluster {cluster} is now {now}; it was {before}",
        "",
        "nothing has to be done if the move is intended; the next start of the gateway clears the finding",
    ),
}
