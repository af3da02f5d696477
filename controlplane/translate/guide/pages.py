"""All pages by code."""

from typing import Final

from controlplane.translate.guide import (
    annotations,
    backends,
    clusters,
    conflicts,
    listeners,
    objects,
    registration,
    rules,
)
from controlplane.translate.guide.page import Page

PAGES: Final[dict[str, Page]] = {
    code: page
    for chapter in (objects, annotations, rules, clusters, listeners, backends, conflicts, registration)
    for code, page in chapter.PAGES.items()
}
