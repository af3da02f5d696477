"""service-subset and subset-labels: only pods with these labels, or of this cluster, serve.

Without such pods all pods of the service serve, as in an MSE gateway when a cluster is down. The fallback
first goes to other clusters, with the other labels kept.
"""

import re
from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Given, Reader
from controlplane.translate.annotations.row import VENDOR, Annotation
from controlplane.translate.dialects import Dialect

CLUSTER_LABEL: Final = "topology.istio.io/cluster"
"""Stands for the cluster of a pod; no pod carries it."""
OPENSERGO_LABEL: Final = "opensergo.io/canary"
BASE: Final = ("", "base")

SUBSET: Final = Annotation(
    "service-subset",
    VENDOR,
    Dialect.MSE,
    "names a subset of the pods; without subset-labels: the pods with the label opensergo.io/canary-<name>",
    allowed='a name of up to 63 letters, digits, "-", "_" and ".", or base',
    example="cluster-demo-1",
)
LABELS: Final = Annotation(
    "subset-labels",
    VENDOR,
    Dialect.MSE,
    "lets only pods with these labels serve, or, as topology.istio.io/cluster, the pods of one cluster;"
    " when no pod has the labels, all pods serve",
    type="lines of key and value",
    allowed="lines of a label and its value, as: topology.istio.io/cluster cluster-1",
    default="all pods",
    example="topology.istio.io/cluster cluster-1",
)
ROWS: Final = (SUBSET, LABELS)

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


def apply(reader: Reader, draft: Draft) -> None:
    given = reader.given(LABELS)
    if given is None:
        _by_name(reader, draft)
        return
    labels = _parse(given, reader)
    cluster = labels.pop(CLUSTER_LABEL, None)
    if cluster is not None:
        draft.weights = {cluster: 100}
        draft.weights_key = given.key
    draft.labels = labels


def _parse(given: Given, reader: Reader) -> dict[str, str]:
    labels: dict[str, str] = {}
    if not given.text:
        reader.reject(given, "names no label", LABELS.allowed)
    for line in given.text.splitlines():
        key, _, value = line.partition(" ")
        value = value.strip()
        if not line:
            continue
        problem = _problem(key, value, labels)
        if problem:
            reader.reject(given, f"has the line {line!r}: {problem}", LABELS.allowed)
        else:
            labels[key] = value
    return labels


def _problem(key: str, value: str, labels: dict[str, str]) -> str:
    """Return why a line cannot be used; "" when it can."""
    prefix, slash, name = key.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not _PREFIX.fullmatch(prefix)):
        return "it does not begin with the name of a label"
    if key in labels and labels[key] != value:
        return "the label has another value in an earlier line, and no pod has both"
    if key == CLUSTER_LABEL:
        return "" if value and " " not in value else "it names no cluster"
    return "" if not value or _NAME.fullmatch(value) else "no label can have this value"


def _by_name(reader: Reader, draft: Draft) -> None:
    given = reader.given(SUBSET)
    if given is None:
        return
    if given.text in BASE:
        # Pods without any opensergo.io/canary* label cannot be asked for by labels they have.
        note = f"without {LABELS.keys[0]} all pods serve, also pods with a label {OPENSERGO_LABEL}-*"
        reader.findings.add("FG0202", given.field, given.text, note=note)
    elif not _NAME.fullmatch(given.text):
        reader.reject(given, "is not the name of a subset", SUBSET.allowed)
    else:
        draft.labels = {f"{OPENSERGO_LABEL}-{given.text}": given.text}
