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
        "The base or the canary answers by itself, with a redirect for example.",
        "a canary of an Ingress with permanent-redirect",
        "Let both forward to Services.",
    ),
    "FG0704": Page(
        "The canaries of one base ask for more than all of its requests.",
        'canary-weight: "60" on two canaries of one base',
        "Lower the weights until they fit.",
    ),
    "FG0705": Page(
        "Two Ingresses say different client addresses for one host. Those of the older one hold.",
        "domain-whitelist-source-range on two Ingresses of one host",
        "Write the addresses on one Ingress, and make sure that they are the ones that are meant.",
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
        " a host. This one was edited last, or is the youngest.",
        "forty paths like /x(a|b)*a(a|b){40}, on three Ingresses of shop.example.com",
        "Make the patterns simpler; or start fleetgate with --limit max-host-pattern-work=<more>"
        " (docs/limits.md).",
    ),
    "FG0801": Page(
        "A worker could not use the new rules, so all workers go on with those of before.",
        "rules that pass every check of the translation",
        "Undo the last change, and report the cause: such rules should have a finding of their own.",
    ),
}
