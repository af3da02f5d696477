"""rewrite-target and use-regex: what an endpoint is asked for, and paths that are regular expressions."""

from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation
from controlplane.translate.annotations.templates import ALB_VARIABLES, template_problem
from controlplane.translate.dialects import Dialect
from controlplane.translate.paths import PathOptions
from proxy.model.policies import Rewrite

ALB_TARGET: Final = Annotation(
    "rewrite-target",
    (ALB,),
    Dialect.ALB,
    "asks endpoints for this path; paths of type Prefix are then regular expressions that ignore case",
    type="path",
    allowed=f"/… with each of {', '.join(ALB_VARIABLES)} at most once",
    example="/v2/${1}",
)
ALB_REGEX: Final = Annotation(
    "use-regex",
    (ALB,),
    Dialect.ALB,
    "takes paths of type Prefix as regular expressions that ignore case",
    type="boolean",
    allowed="true, false",
    default="false",
    example="true",
)
ROWS: Final = (ALB_TARGET, ALB_REGEX)


def apply(reader: Reader, draft: Draft) -> None:
    target = _alb_target(reader)
    if target:
        draft.rewrite = Rewrite(path=target)
    if target or reader.boolean(ALB_REGEX):
        draft.paths = PathOptions(is_regex=True, regex_ignores_case=True)


def _alb_target(reader: Reader) -> str:
    given = reader.given(ALB_TARGET)
    if given is None or not given.text:
        return ""
    problem = template_problem(given.text, ALB_VARIABLES)
    if not problem and not given.text.startswith("/"):
        problem = "does not start with /"
    if problem:
        reader.reject(given, problem, ALB_TARGET.allowed)
        return ""
    return given.text
