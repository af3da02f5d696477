"""Pages of FG06: Services, endpoints, server groups and health checks."""

from typing import Final

from controlplane.translate.guide.page import Page

PAGES: Final[dict[str, Page]] = {
    "FG0601": Page(
        "No attached cluster has the Service that the rule names.",
        "backend: {service: {name: missing, port: {number: 80}}}",
        "Create the Service in a member cluster, in the namespace of the Ingress, or correct the name.",
    ),
    "FG0602": Page(
        "The Service of a cluster does not have the port that the rule names.",
        "port: {number: 8080} for a Service with port 80",
        "Use a port of the Service, not of its pods.",
    ),
    "FG0603": Page(
        "An EndpointSlice has an address that no pod can have. Requests do not go there.",
        "endpoints: [{addresses: [169.254.169.254]}]",
        "Find the author of the EndpointSlice.",
    ),
    "FG0604": Page(
        "The rule wants pods with certain labels, and the gateway may not list pods in the cluster.",
        "mse.ingress.kubernetes.io/service-subset: gray",
        "Apply deploy/rbac/member.yaml to the member cluster.",
    ),
    "FG0605": Page(
        "A field of the ServerGroup has a value that it cannot have.",
        "servers: [{address: 10.1.0.1, port: 0}]",
        "Write a value that the finding allows.",
    ),
    "FG0607": Page(
        "The namespace has no ServerGroup with this id or name.",
        '{"ServerGroupID": "sgp-missing", "Weight": 100}',
        "Create the ServerGroup in the namespace of the Ingress, or correct the id.",
    ),
    "FG0608": Page(
        "The DNS resolver of the gateway does not know the host name.",
        "servers: [{address: idc.example.invalid, port: 80}]",
        "Correct the name, or the resolver of the machine.",
    ),
    "FG0609": Page(
        "The host name resolves to an address that no server should have, a metadata service for example.",
        "a name that resolves to 169.254.169.254",
        "Correct the name, or find out which DNS server answers for it.",
    ),
    "FG0610": Page(
        "The ServerGroup has no server.",
        "spec: {servers: []}",
        "Add a server with address and port.",
    ),
    "FG0611": Page(
        "The group names a zone that none of its servers has.",
        "a weight for the zone west",
        "Correct the zone, or give the zone to a server.",
    ),
    "FG0612": Page(
        "An older ServerGroup of the namespace has the same id.",
        "spec: {id: sgp-1} in two ServerGroups",
        "Change one of the two ids.",
    ),
    "FG0613": Page(
        "A server of the group is the gateway itself: the gateway's address with a port that it listens on.",
        "servers: [{address: 127.0.0.1, port: 9901}]",
        "Write the address and port of the server that is meant.",
    ),
    "FG0614": Page(
        "A Service of a member cluster stands for a host (type ExternalName, or an EndpointSlice of type"
        " FQDN) whose name or port the gateway does not use: the name would mean the gateway's own cluster.",
        "externalName: web.other.svc.cluster.local",
        "Name the Service behind the host in the rule, or use the full DNS name of a host outside of the"
        " clusters.",
    ),
    "FG0631": Page(
        "The Ingress names a Service of another namespace, which has no ReferenceGrant for this reference.",
        "default-backend: web/errors on an Ingress of the namespace shop",
        "Use a Service of the Ingress's own namespace, or ask for a ReferenceGrant to Service in the"
        " other namespace. docs/behaviour.md#referencegrant has an example.",
    ),
    "FG0632": Page(
        "The MseIngressConfig watches one namespace, and the Ingress names a Service of another namespace.",
        "watchNamespace: shop, and destination: web.other.svc.cluster.local:80",
        "Use a Service of the watched namespace.",
    ),
    "FG0640": Page(
        "The annotation names a Secret that does not exist, or is of another type than kubernetes.io/tls."
        " The gateway does not speak to the endpoints without it.",
        "proxy-ssl-secret: shop/backend-tsl",
        "Create the Secret, or correct the name. It needs the type kubernetes.io/tls, even with ca.crt alone:"
        " tls.crt and tls.key may be empty.",
    ),
    "FG0641": Page(
        "The Secret lacks what TLS to the endpoints needs, or it cannot be read. With proxy-ssl-verify the"
        " endpoints are trusted by ca.crt alone. The former material stays in use.",
        "proxy-ssl-verify: on, and a Secret without ca.crt",
        "Put the missing part into the Secret, as PEM.",
    ),
    "FG0642": Page(
        "The Ingress names a Secret of another namespace, which has no ReferenceGrant for this reference."
        " Its endpoints would take requests of the Ingress for those of that namespace.",
        "proxy-ssl-secret: bank/client on an Ingress of the namespace shop",
        "Use a Secret of the Ingress's own namespace, or ask for a ReferenceGrant to Secret in the other"
        " namespace. docs/behaviour.md#referencegrant has an example.",
    ),
    "FG0643": Page(
        "The gateway may not list the Secrets of a namespace with which endpoints are spoken to.",
        "a namespace without a RoleBinding for the gateway",
        "Bind the ClusterRole fleetgate-certificates in the namespace: deploy/rbac/fleet-tls.yaml shows how."
        " The former material stays in use.",
    ),
    "FG0620": Page(
        "Two Ingresses ask for different health checks of one Service. The gateway makes the check of the"
        " older Ingress.",
        "healthcheck-path: /a and healthcheck-path: /b",
        "Write the same checks on both Ingresses, or on one of them only.",
    ),
}
