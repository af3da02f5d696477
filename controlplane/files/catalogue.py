"""Findings about files themselves, in the form of the translation's catalogue; codes are stable."""

from typing import Final

from controlplane.translate.catalogue import Entry

FILE_CATALOGUE: Final[dict[str, Entry]] = {
    "FG0110": Entry(
        "error", "InvalidFile", "cannot be parsed: {problem}", "YAML or JSON", "correct the syntax"
    ),
    "FG0111": Entry(
        "error",
        "InvalidFile",
        "is no Kubernetes object: {problem}",
        "a mapping with apiVersion, kind and metadata.name",
        "add the missing part, or move the file elsewhere",
    ),
    "FG0112": Entry(
        "warning",
        "InvalidFile",
        "the key is written twice in the same place; the last value counts",
        "",
        "remove one of the two",
    ),
    "FG0113": Entry(
        "warning",
        "InvalidFile",
        "the object is also defined at {other}; the last one counts",
        "",
        "remove one of the two",
    ),
    "FG0114": Entry(
        "error",
        "InvalidObject",
        "is {type}, but annotations and labels are text: the API server refuses the object",
        "text",
        "write the value in quotes: {quoted}",
    ),
    "FG0115": Entry(
        "error",
        "InvalidObject",
        "{kind} of {version} is not read",
        "{allowed}",
        "correct the apiVersion",
    ),
    "FG0116": Entry(
        "error",
        "DialectUnknown",
        "the dialect of the Ingress is not known, so none of its annotations is checked",
        "a class in the files, or annotations of one dialect",
        "give --dialect alb or --dialect mse, or add the IngressClass to the files",
    ),
    "FG0117": Entry("warning", "NotServed", "{why}", "", "{fix}"),
}
