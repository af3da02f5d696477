"""Name and label syntax, with the wording kube-apiserver uses."""

from __future__ import annotations

import re
from collections.abc import Callable

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME_PART = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"

Check = Callable[[str], list[str]]


def _used(regex: str) -> str:
    return f"regex used for validation is '{regex}')"


def _limit(count: int) -> str:
    return f"must be no more than {count} characters"


def subdomain(value: str) -> list[str]:
    errors = [_limit(253)] if len(value) > 253 else []
    if not re.fullmatch(_SUBDOMAIN, value):
        errors.append(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
            "or '.', and must "
            f"start and end with an alphanumeric character (e.g. 'example.com', {_used(_SUBDOMAIN)}"
        )
    return errors


def label(value: str) -> list[str]:
    errors = [_limit(63)] if len(value) > 63 else []
    if not re.fullmatch(_LABEL, value):
        errors.append(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
            "and must start and "
            f"end with an alphanumeric character (e.g. 'my-name',  or '123-abc', {_used(_LABEL)}"
        )
    return errors


def dns1035(value: str) -> list[str]:
    errors = [_limit(63)] if len(value) > 63 else []
    if not re.fullmatch(_DNS1035, value):
        errors.append(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with "
            "an alphabetic "
            f"character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
            f"{_used(_DNS1035)}"
        )
    return errors


def path_segment(value: str) -> list[str]:
    """Names of RBAC objects: anything that fits into one path element."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{mark}'" for mark in ("/", "%") if mark in value]


def wildcard_host(value: str) -> list[str]:
    errors = [_limit(253)] if len(value) > 253 else []
    if not re.fullmatch(_WILDCARD, value):
        errors.append(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
            "which must consist "
            "of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. "
            rf"'*.example.com', {_used(_WILDCARD)}"
        )
    return errors


def port_name(value: str) -> list[str]:
    """IANA service names, used for named ports of pods and backends."""
    errors = [_limit(15)] if len(value) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def qualified_name(value: str) -> list[str]:
    """Keys of labels, annotations and finalizers: an optional DNS prefix, a slash, a name."""
    prefix, slash, name = value.rpartition("/")
    errors = []
    if slash:
        if not prefix:
            errors.append("prefix part must be non-empty")
        else:
            errors += [f"prefix part {error}" for error in subdomain(prefix)]
    if value.count("/") > 1:
        return [
            "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an "
            f"alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', "
            f"{_used(_NAME_PART)} with an optional "
            "DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    if not name:
        errors.append("name part must be non-empty")
    if len(name) > 63:
        errors.append(f"name part {_limit(63)}")
    if not re.fullmatch(_NAME_PART, name):
        errors.append(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and "
            "end with an "
            f"alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', {_used(_NAME_PART)}"
        )
    return errors


def label_value(value: str) -> list[str]:
    errors = [_limit(63)] if len(value) > 63 else []
    if not re.fullmatch(_LABEL_VALUE, value):
        errors.append(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' "
            "or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
            f"{_used(_LABEL_VALUE)}"
        )
    return errors


def config_key(value: str) -> list[str]:
    """Keys of ConfigMap and Secret data."""
    errors = [_limit(253)] if len(value) > 253 else []
    if not re.fullmatch("[-._a-zA-Z0-9]+", value):
        errors.append(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
            "'key.name',  or "
            f"'KEY_NAME',  or 'key-name', {_used('[-._a-zA-Z0-9]+')}"
        )
    if value == ".":
        errors.append("must not be '.'")
    elif value.startswith(".."):
        errors.append("must not start with '..'" if value != ".." else "must not be '..'")
    return errors
