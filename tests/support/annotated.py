"""Generated annotations of every family: values as people write them, and as nobody should."""

import json
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

from controlplane.translate.annotations.families import FAMILIES
from controlplane.translate.annotations.row import Annotation, Scope
from controlplane.translate.dialects import Dialect

HOSTILE: Final = (
    "", " ", "\n", "\r\nX-Injected: 1", "\x00", "\x7f", "é", "１２", "X Custom", "X_Source", "X-Source",
    "Host", "Transfer-Encoding", "connection", "#{host}", "${host}", "${host}:8443", "www.${host}", "${path}",
    "${",
    "${1}", "${2}", "${9}", "${nope}", "$1", "$9", "\\1", "$request_uri", "/", "/${1}", "/../..",
    "/a/../../b",
    "/%00", "/%zz", "//evil.example", "/a?b#c", "..", ".", "-", "a.example", "a.example:8443", "a:b:c",
    "[::1]", "[::1]:80", "a." * 127 + "a", "x" * 300, "*", "https://*.example", "*a" * 40, "null", "a,b",
    "80",
    " 80 ", "080", "0", "-1", "99999", "1e9", "10.0.0.0/8", "::1%eth0", "(", "(a+)+$", "(a|b)*c", "a{500}",
    "(a{0,99}){99}", "(?i)x", "\\C", "[", "[]", "{}", "[{}]", "null,null", "true", "on", "off", "json",
)  # fmt: skip
"""Texts that some place cannot take."""

JSON_VALUES: Final[st.SearchStrategy[Any]] = st.one_of(
    st.sampled_from(HOSTILE),
    st.sampled_from([None, True, False, 0, -1, 80, 65536, 1.5, 1e308, [], {}, [[]], {"a": []}, [None]]),
    st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=3),
)

_GROUPS: Final = [{"ServiceName": "web", "ServicePort": 80, "Weight": 100}]
_VALID: Final[Mapping[str, Mapping[str, Any]]] = {
    # Of actions
    "ForwardConfig": {"ServerGroups": _GROUPS, "ServerGroupStickySession": {"Enabled": True, "Timeout": 9}},
    "RedirectConfig": {
        "httpCode": 302,
        "protocol": "HTTPS",
        "host": "www.example.org",
        "port": 8443,
        "path": "/new${path}",
        "query": "a=${query}",
    },
    "FixedResponseConfig": {"httpCode": 404, "contentType": "text/html", "content": "none"},
    "RewriteConfig": {"Host": "www.example.org", "Path": "/v/${1}", "Query": "a=${query}"},
    "InsertHeaderConfig": {
        "key": "X-Source",
        "value": "alb",
        "valueType": "UserDefined",
        "coverEnabled": True,
    },
    "RemoveHeaderConfig": {"key": "X-Source"},
    "TrafficLimitConfig": {"QPS": 100, "QPSPerIp": 10},
    "TrafficMirrorConfig": {
        "TargetType": "ForwardGroupMirror",
        "MirrorGroupConfig": {"ServerGroupTuples": _GROUPS},
    },
    "CorsConfig": {
        "AllowOrigin": ["https://*.example.com", "https://a.example"],
        "AllowMethods": ["GET", "PUT"],
        "AllowHeaders": ["X-Custom"],
        "ExposeHeaders": ["X-Custom"],
        "AllowCredentials": "on",
        "MaxAge": 60,
    },
    # Of conditions
    "hostConfig": {"values": ["*.example.org", "www.example.org"]},
    "pathConfig": {"values": ["/a*", "/b", "~/c(.*)"]},
    "headerConfig": {"key": "x-stage", "values": ["gray", "b*"]},
    "queryStringConfig": {"values": [{"key": "stage", "value": "gray"}]},
    "methodConfig": {"values": ["GET", "PUT"]},
    "cookieConfig": {"values": [{"key": "stage", "value": "gr*"}]},
    "sourceIpConfig": {"values": ["10.0.0.0/8"]},
    "responseStatusCodeConfig": {"values": [200, 404]},
    "responseHeaderConfig": {"key": "x-stage", "values": ["gray"]},
}
"""Of each object a value that can be used."""


def _altered(value: Any) -> st.SearchStrategy[Any]:
    """A value like this one, with something else in one place of it."""
    if isinstance(value, dict) and value:
        return st.sampled_from(sorted(value)).flatmap(
            lambda name: _altered(value[name]).map(lambda other: {**value, name: other})
        )
    if isinstance(value, list) and value:
        return _altered(value[0]).map(lambda other: [other, *value[1:]]) | JSON_VALUES
    return st.sampled_from(HOSTILE) | st.sampled_from(HOSTILE) | JSON_VALUES


def _partial(value: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: st.just(item) for name, item in value.items()})


def _block(config: str) -> st.SearchStrategy[dict[str, Any]]:
    """One element of actions or conditions: as it should be, without some of its fields, or a bad one."""
    kind = config.removesuffix("Config")
    value = _VALID[config]
    values = st.just(value) | _partial(value) | _altered(value) | _altered(value) | JSON_VALUES
    return values.map(lambda chosen: {"type": kind[0].upper() + kind[1:], config: chosen})


OF_SERVICES: Final = ("actions.*", "conditions.*", "rule-direction.*")
_ACTIONS: Final = [name for name in _VALID if name[0].isupper()]
_CONDITIONS: Final = [name for name in _VALID if name[0].islower()]


def _array(configs: list[str]) -> st.SearchStrategy[str]:
    block = st.sampled_from(configs).flatmap(_block)
    return st.lists(block, min_size=1, max_size=3).map(json.dumps)


def _text(row: Annotation) -> st.SearchStrategy[str]:
    """A value for an annotation: an example, one of those its range names, or what does not belong there."""
    if row.name == "actions.*":
        return _array(_ACTIONS)
    if row.name == "conditions.*":
        return _array(_CONDITIONS)
    named = [word.strip() for word in row.allowed.replace(";", ",").split(",")]
    likely = [text for text in (row.example, row.default, *row.neutral, *named) if text]
    mixed = st.lists(st.sampled_from([*likely, *HOSTILE]), min_size=1, max_size=3).map("".join)
    return st.sampled_from(likely or ["1"]) | st.sampled_from(["true", "1", "100"]) | mixed


def _entry(row: Annotation) -> st.SearchStrategy[tuple[str, str]]:
    """An annotation of a row, for the Service `web` where it is about one."""
    named = ["web"] if row.name in OF_SERVICES else ["x-stage", "x_stage", "authority", "method", "cluster-1"]
    suffix = st.sampled_from(named)
    name = suffix.map(lambda text: row.name[:-1] + text) if row.is_family else st.just(row.name)
    return st.tuples(name.map(lambda text: row.prefixes[0] + text), _text(row))


ROWS: Final = {
    dialect: [
        row
        for family in FAMILIES
        for row in family.ROWS
        if row.dialect in (None, dialect) and row.scope is Scope.INGRESS
    ]
    for dialect in Dialect
}


def annotations(dialect: Dialect, most: int = 5) -> st.SearchStrategy[dict[str, str]]:
    """Some annotations of a dialect, of any family."""
    return st.lists(st.sampled_from(ROWS[dialect]).flatmap(_entry), min_size=1, max_size=most).map(dict)


def of_row(row: Annotation) -> st.SearchStrategy[dict[str, str]]:
    """A single annotation, of this row."""
    return _entry(row).map(lambda entry: dict([entry]))
