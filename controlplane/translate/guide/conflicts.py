"""Pages of FG07 and FG08: several Ingresses together, and workers that refuse."""

from typing import Final

from controlplane.translate.guide.page import Page

PAGES: Final[dict[str, Page]] = {
    "FG0701": Page(
        "Another rule has the same host, path and conditions, and comes first.",
        "path: / of host shop.example.com in two Ingresses",
        "Decide which of the rules is meant, or give them different conditions.",
    ),
    "FG0702": Page(
        "The canary has no base: no other Ingress of its gateway has its host and path.",
        'nginx.ingress.kubernetes.io/canary: "true" on the only Ingress of a host',
        "Create the base with the same host, path and pathType.",
    ),
    "FG0703": Page(
        "The base or the canary answers requests itself, with a redirect for example.",
        "a canary of an Ingress with permanent-redirect",
        "Let both forward to Services.",
    ),
    "FG0704": Page(
        "The canaries of one base ask for more than all of its requests.",
        'canary-weight: "60" on two canaries of one base',
        "Lower the weights until they fit.",
    ),
    "FG0705": Page(
        "Two Ingresses name different client addresses for one host. The list of the older Ingress holds.",
        "domain-whitelist-source-range on two Ingresses of one host",
        "Write the right addresses on one of the two Ingresses.",
    ),
    "FG0721": Page(
        "The rules of the Ingress are more than a budget of the gateway: their bytes, the changes of headers"
        " of one rule, or the work that their patterns make of one request.",
        "8,000 paths on an Ingress whose annotations add 5,000 headers to each request",
        "Divide the Ingress or make its patterns simpler; or start fleetgate with --limit and the budget that"
        " the finding names (docs/limits.md). The last good version stays live until then.",
    ),
    "FG0722": Page(
        "All Ingresses of a host have patterns that together make more work of one request than the budget of"
        " a host. This Ingress was edited last, or is the youngest. Namespaces other than the one with the"
        " oldest Ingress of the host have half of the budget together.",
        "forty paths like /x(a|b)*a(a|b){40}, on three Ingresses of shop.example.com",
        "Make the patterns simpler; or start fleetgate with --limit max-host-pattern-work=<more>"
        " (docs/limits.md).",
    ),
    "FG0711": Page(
        "The base of the canary belongs to another namespace, which has no ReferenceGrant for the canary.",
        "a canary of the namespace shop with the host and path of an Ingress of the namespace web",
        "Move the canary to the namespace of its base, or ask for a ReferenceGrant to Ingress there.",
    ),
    "FG0712": Page(
        "Rules of another namespace have the host, and an order counts in its own namespace only.",
        'alb.ingress.kubernetes.io/order: "1" on an Ingress without a host',
        "Give rules that must come first a more specific host or path, or agree with the other namespace.",
    ),
    "FG0713": Page(
        "The Ingress takes requests that rules of another namespace would get without it: its path is longer"
        " under their host, or its host is below their wildcard.",
        "path: /cart of host shop.example.com, whose path: / is another namespace's",
        "Nothing has to be done where both namespaces agree.",
    ),
    "FG0714": Page(
        "Rules of another namespace take requests of this Ingress: their path is longer under its host, or"
        " their host is below its wildcard.",
        "host: '*.example.com', when another namespace has one.example.com",
        "Agree with the other namespace. With --host-ownership namespace a host is for one of them.",
    ),
    "FG0715": Page(
        "The gateway runs with --host-ownership namespace, and an older Ingress of another namespace has the"
        " host, or a wildcard above it.",
        "host: shop.example.com in two namespaces",
        "Use another host, or ask the owners of the host's namespace to route the path.",
    ),
    "FG0716": Page(
        "The alias is a host that an Ingress of another namespace names itself, or is below its wildcard.",
        "server-alias: shop.example.com, the host of another namespace",
        "Leave the host out of the alias, or ask the owners of the host's namespace to route it.",
    ),
    "FG0717": Page(
        "The annotation redirects / of each host of its Ingress, and the host is another namespace's.",
        "app-root: /shop on an Ingress with the path /shop of a host that the namespace web had first",
        "Remove the annotation, or ask the owners of the host's namespace to redirect.",
    ),
    "FG0801": Page(
        "A worker could not use the new rules, so all workers keep the earlier rules.",
        "rules that pass every check of the translation",
        "Undo the last change, and report the cause: such rules should have a finding of their own.",
    ),
}
