"""Pages of FG05: listeners, and fields of gateways."""

from typing import Final

from controlplane.translate.guide.page import Page

PAGES: Final[dict[str, Page]] = {
    "FG0501": Page(
        "A field of the listener has a value that a listener cannot have.",
        "listeners: [{port: 80, protocol: HTTP, idleTimeout: 600}]",
        "Write a value that the finding allows.",
    ),
    "FG0502": Page(
        "The listener speaks a protocol that this version does not have. Its port is not opened.",
        "listeners: [{port: 443, protocol: QUIC}]",
        "Use an HTTPS listener.",
    ),
    "FG0503": Page(
        "Two listeners of the AlbConfig have the same port.",
        "listeners: [{port: 80}, {port: 80}]",
        "Give each port to one listener.",
    ),
    "FG0504": Page(
        "An older gateway owns the port.",
        "port 80 in two AlbConfigs",
        "Choose another port, or serve both from one gateway.",
    ),
    "FG0505": Page(
        "listen-ports names a listener that the gateway does not have. The rules are not installed there.",
        "alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\": 8080}]'",
        "Add the listener to the AlbConfig, or name a listener that the finding lists.",
    ),
    "FG0506": Page(
        "The Ingress has no listen-ports, and the gateway no listener on port 80, which is the default."
        " The rules are installed on the listeners it has.",
        "an AlbConfig with listener 8001 only",
        "Name the listener in listen-ports; then the finding is gone.",
    ),
    "FG0507": Page(
        "Another process of the machine has the port, or the gateway may not open it.",
        "port 80 without the right to bind it",
        "End the other process, grant the right, or use another port.",
    ),
    "FG0508": Page(
        "The AlbConfig opens no listener, so none of its Ingresses is served.",
        "spec: {listeners: []}",
        "Add a listener.",
    ),
    "FG0510": Page(
        "None of the gateway's listeners is open, so there is nowhere to install the rules.",
        "an AlbConfig with a QUIC listener only",
        "Look at the findings about the gateway.",
    ),
    "FG0511": Page(
        "The field changes nothing here.",
        "spec: {config: {resourceGroupId: rg-1}}",
        "Nothing has to be done. The field may stay or go.",
    ),
    "FG0512": Page(
        "The gateway does not support the effect of the field, and clients or applications may rely on it.",
        "spec: {config: {addressType: Intranet}}",
        "Achieve the effect in another way before clients come: with --listen, the network, or a firewall.",
    ),
    "FG0513": Page(
        "The gateway knows no field of this name.",
        "spec: {listners: []}",
        "Correct the name.",
    ),
    "FG0514": Page(
        "A field of the gateway has a value that it cannot have.",
        "aclConfig: {aclType: White, aclEntries: [10.0.0.0/33]}",
        "Write a value that the finding allows. An allow list without any usable entry lets no client in.",
    ),
    "FG0515": Page(
        "MSE gateways listen on HTTP:80 and HTTPS:443. Without the annotation only HTTP:80 is opened.",
        "an MseIngressConfig without the annotation of listeners",
        "Name the listeners in the annotation; then the finding is gone.",
    ),
}
