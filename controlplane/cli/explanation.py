"""The answer of `explain` as lines of text."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from controlplane.cli.output import coloured, counted
from controlplane.observe.absences import REASONS

Json = dict[str, Any]

_MARKS: Final = {"chosen": "MATCH", "lost": "lost", "missed": "no"}
_LEVELS: Final = {"chosen": "info", "lost": "warning", "missed": ""}
_MOST_ENDPOINTS: Final = 8


def lines(found: Json) -> Iterator[str]:
    """Yield the lines of an explanation."""
    yield from _request(found)
    yield from _considered(found)
    answer = found["answer"]
    if found["chosen"] is None:
        yield _labelled("answer", f"{answer['status']}: no route takes this request{_nearest(found)}")
    else:
        yield from _answer(answer)
    yield from _refused(found["refused"])
    yield from _freshness(found["freshness"])


def _labelled(label: str, text: str) -> str:
    return f"{label:<10} {text}"


def _request(found: Json) -> Iterator[str]:
    request, listener = found["request"], found["listener"]
    query = f"?{request['query']}" if request["query"] else ""
    yield _labelled("request", f"{request['method']} {request['path']}{query}  from {request['client']}")
    if listener is None:
        yield _labelled("listener", f"none on port {request['port']}")
    else:
        where = f"{listener['protocol']} :{listener['port']}  {_source(listener['source'])}"
        yield _labelled("listener", where + (f"  ({found['note']})" if found["note"] else ""))
    matching = sum(each["verdict"] != "missed" for each in found["considered"])
    verb = "matches" if matching == 1 else "match"
    yield _labelled("host", f"{request['host'] or '-'}  {counted(matching, 'route')} {verb}")


def _considered(found: Json) -> Iterator[str]:
    rows = [
        (
            _MARKS[each["verdict"]],
            each["host"],
            f"{each['path']['value']} {each['path']['kind']}",
            _source(each["source"]),
            each,
        )
        for each in found["considered"]
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for number, (mark, host, path, source, each) in enumerate(rows, 1):
        verdict = coloured(f"{mark:<5}", _LEVELS[each["verdict"]])
        cells = f"{host:<{widths[1]}}  {path:<{widths[2]}}  {source:<{widths[3]}}"
        wants = f"  if {' and '.join(each['conditions'])}" if each["conditions"] else ""
        why = each["reason"] or "chosen"
        yield f" #{number:<2} {verdict} {cells}{wants}  <- {why}"
    if found["left"]:
        yield f"     and {counted(found['left'], 'route')} further off (--all)"


def _refused(refused: list[Json]) -> Iterator[str]:
    """Yield the Ingresses that the request may have been meant for, and that are not served as written."""
    for each in refused:
        for finding in each["findings"]:
            said = f"{finding['level']} {finding['code']} {finding['field']}: {finding['message']}"
            fix = f"; fix: {finding['fix']}" if finding["fix"] else ""
            yield _labelled("refused", f"{_source(each['source'])}  {said}{fix}")


def _nearest(found: Json) -> str:
    nearest = next(iter(found["considered"]), None)
    return f"; the nearest is {_source(nearest['source'])}: {nearest['reason']}" if nearest else ""


def _source(source: Json) -> str:
    name = f"{source['namespace']}/{source['name']}" if source["namespace"] else source["name"]
    generation = f" gen {source['generation']}" if source["generation"] else ""
    return f"{source['kind']} {name}{generation}"


def _answer(answer: Json) -> Iterator[str]:
    policies = "  ".join(f"{name} {_short(value)}" for name, value in answer["policies"].items())
    if "timeout" in answer:
        seconds = answer["timeout"]["seconds"]
        policies = (
            f"timeout {f'{seconds:g}s' if seconds else 'none'} ({answer['timeout']['from']})  {policies}"
        )
    yield _labelled("policies", policies.strip() or "none")
    for finding in answer["ignored"]:
        yield _labelled(
            "finding", f"{finding['level']} {finding['code']} {finding['field']}: {finding['message']}"
        )
    if answer["action"]["type"] != "forward":
        yield _labelled("answer", _short(answer["action"]))
        return
    for backend in answer["backends"]:
        yield from _backend(backend, answer)


def _short(value: Any) -> str:
    """Return a policy on one line, without its empty fields."""
    if isinstance(value, dict):
        return " ".join(
            f"{key}={_short(item)}" for key, item in value.items() if item not in (None, "", [], {})
        )
    if isinstance(value, list):
        return ", ".join(_short(item) for item in value)
    return str(value)


def _backend(backend: Json, answer: Json) -> Iterator[str]:
    known = answer["endpointsKnown"]
    part = _part(backend, known)
    instead = "" if backend["servedBy"] in ("", backend["service"]) else f"  served by {backend['servedBy']}"
    yield _labelled("backend", f"{backend['service']}  {part}{instead}")
    shares = "  ".join(_share(cluster, backend["split"], known) for cluster in backend["clusters"])
    yield _labelled("split", f"{shares or 'no cluster'}  (by {backend['split']})")
    if not known:
        yield _labelled("endpoints", "not known: give the objects of the clusters with --member ID=PATH")
        return
    for cluster in backend["clusters"]:
        if reason := cluster.get("reason"):
            yield _labelled("", f"{cluster['cluster']} {reason}: {REASONS.get(reason, '')}")
    if backend["takeOverOrder"]:
        yield _labelled("order", ", ".join(backend["takeOverOrder"]))
    yield from _endpoints(backend, answer["algorithm"])


def _share(cluster: Json, mode: str, known: bool) -> str:
    if mode == "weights" and not cluster["weight"]:
        name = f"{cluster['cluster']} standby"
        return f"{name} -> {cluster['effectivePercent']:g} %" if cluster["effectivePercent"] else name
    if mode == "endpoints" and not known:
        return str(cluster["cluster"])
    return f"{cluster['cluster']} {_part(cluster, known)}"


def _part(of: Json, known: bool) -> str:
    """Return a configured part of the traffic, and the present one where it differs."""
    configured, effective = of["configuredPercent"], of["effectivePercent"]
    return f"{configured:g} %" + (f" -> {effective:g} %" if known and configured != effective else "")


def _endpoints(backend: Json, algorithm: str) -> Iterator[str]:
    """Yield the endpoints of each cluster, those that may be picked first."""
    if not backend["endpoints"]:
        yield _labelled("endpoints", "none known: requests are answered 503")
    for cluster in backend["clusters"]:
        here = [each for each in backend["endpoints"] if each["cluster"] == cluster["cluster"]]
        if not here:
            continue
        states = Counter(each["state"] for each in here)
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items(), reverse=True))
        pickable = sorted(here, key=lambda each: (each["state"] != "healthy", each["inFlight"]))
        shown = "  ".join(_endpoint(each) for each in pickable[:_MOST_ENDPOINTS])
        more = f"  and {len(here) - _MOST_ENDPOINTS} more" if len(here) > _MOST_ENDPOINTS else ""
        yield _labelled("endpoints", f"{cluster['cluster']}: {counts}; {algorithm} among  {shown}{more}")


def _endpoint(endpoint: Json) -> str:
    address = endpoint["address"]
    host = f"[{address}]" if ":" in address else address
    busy = f" ({endpoint['inFlight']} in flight)" if endpoint["inFlight"] else ""
    return f"{host}:{endpoint['port']}{busy}"


def _freshness(freshness: Json) -> Iterator[str]:
    if not freshness["workers"]:
        yield _labelled("snapshot", "from files")
        return
    ago = freshness["appliedSecondsAgo"]
    applied = f"applied {ago:g}s ago on {freshness['appliedOn']}/{freshness['workers']} workers"
    from_disk = ", from disk" if freshness["fromDisk"] else ""
    yield _labelled("snapshot", f"v{freshness['snapshotVersion']} {applied}{from_disk}")
    for cluster in freshness["clusters"]:
        if not cluster["synced"]:
            state = "not listed yet"
        elif cluster["stale"]:
            state = f"stale: last current {cluster['ageSeconds']:g}s ago ({cluster['lastError']})"
        else:
            state = f"current {cluster['ageSeconds']:g}s ago"
        yield _labelled("", f"{cluster['cluster']} {state}")
