"""The API half of a provider file: `[api]`, `[resources.NAME]` and `[operations.NAME]`.

Owns what a file may say about the API of an outside system. A resource and an operation have the keys that they have in
`tidegate.toml`, and some for people. `config/expand.py` puts them into the sources of a user, and
`config/checks_provider.py` checks a file. Knows no provider by name. Pure. Invariant: an unknown key or a wrong type in
a file is rejected. Crash: nothing is kept.

In every string of the three tables, `{with.NAME}` stands for a value that the user gives (`with = { NAME = "..." }`).
Each is declared once, as `[api.with.NAME]` with a help text. What `[api]` mentions is given in `[sources.X.api]`; what
a resource or an operation mentions is given there, or once for all in `[sources.X.api]`. The placeholders of resources
(`{incremental.start_value}`, `{resources.PARENT.FIELD}`, `{credential.NAME}`) and the `{{ expression }}` of operations
are those of `tidegate.toml`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import field

from tidegate.core.spec import Duration, Name, Operation, Rate, Strict, doc
from tidegate.providers import API_TABLES
from tidegate.rules.sync.limits import Limits
from tidegate.rules.sync.spec import Resource


class Given(Strict, frozen=True):
    """A value that the user gives: a part of the address, a credential, the name of a repository."""

    help: Annotated[str, doc("What the value is, in one sentence.")]
    pattern: Annotated[
        str, doc("A regular expression for the whole value. Default: letters, digits, `.`, `_`, `~` and `-`.")
    ] = ""
    example: Annotated[str, doc("A value that fits, which is shown and used to check the file.")] = ""
    link: Annotated[str, doc("Where the value is found or made.")] = ""
    default: Annotated[str, doc("The value when none is given. Without one, the value is required.")] = ""


class AuthChoice(Strict, frozen=True):
    """One kind of credential that the API takes."""

    help: Annotated[str, doc("What it is called there, and when to choose it.")] = ""
    link: Annotated[str, doc("Where it is made.")] = ""
    fields: Annotated[dict[str, Given], doc("The keys of the kind that the user gives.")] = {}
    base_url: Annotated[str, doc("The base URL with this kind, where it has one of its own.")] = ""
    set: Annotated[
        dict[str, Any], doc("The keys of the kind that are the same for everybody: URLs, scopes, `client_auth`.")
    ] = {}


TestedWith = Literal["nothing", "double", "program"]


class ApiHalf(Strict, frozen=True, kw_only=True):
    """`[api]`: how the API is called."""

    docs: Annotated[str, doc("URL of the documentation of the API.")] = ""
    sources: Annotated[list[str], doc("Where each fact can be checked.")] = []
    unconfirmed: Annotated[list[str], doc("Facts that are known not to be confirmed.")] = []
    tested_with: Annotated[
        TestedWith,
        doc(
            "`program`: the real system ran in the tests. `double`: a server made from the public documentation."
            " `nothing`: neither."
        ),
    ] = "nothing"
    base_url: Annotated[
        str,
        doc("URL to which the paths are appended. May have {with.NAME}, and {credential.NAME} of what is captured."),
    ]
    headers: Annotated[dict[str, str], doc("Headers of every request, such as the version of the API.")] = {}
    rate: Annotated[Rate | None, doc("The documented maximum rate, where each account has the same.")] = None
    timeout: Annotated[Duration, doc("Time limit of one request.")] = "30s"
    limits: Annotated[
        Limits | None, doc("How the API says that its limit is reached, beyond 429 and the usual headers.")
    ] = None
    limits_help: Annotated[str, doc("The limits in words: how many requests, for whom, in which time.")] = ""
    with_: Annotated[dict[str, Given], doc("Values that the user gives, by the name in {with.NAME}.")] = field(
        name="with", default_factory=dict
    )
    auth: Annotated[dict[str, AuthChoice], doc("The kinds of credential that the API takes, the best one first.")] = {}


class ProviderResource(Resource, frozen=True):
    """`[resources.NAME]`: the keys of a resource in `tidegate.toml`, without `use`, `with`, `poll` and `schedule`."""

    description: Annotated[str, doc("What the records are, in one sentence.")] = ""
    suggested_poll: Annotated[Duration, doc("The `poll` that `tidegate add source` writes.")] = "5m"
    sample: Annotated[str, doc("A page as the API sends it; the selector and all paths are tried on it.")] = ""


RESOURCE_EXTRA = ("description", "suggested_poll", "sample")  # keys that no resource of a user gets


class ApiFile(Strict, frozen=True):
    """The tables of a provider file that are about its API."""

    api: Annotated[ApiHalf | None, doc("How the API is called.")] = None
    resources: Annotated[dict[Name, ProviderResource], doc("Lists of records, by name.")] = {}
    operations: Annotated[dict[Name, Operation], doc("Calls that change something, by name.")] = {}


def api_tree(data: dict[str, Any]) -> dict[str, Any]:
    """The tables of a file that are about its API."""
    return {key: data[key] for key in API_TABLES if key in data}


def api_file(data: dict[str, Any]) -> ApiFile:
    """The same as structs. msgspec.ValidationError when they do not fit; `config/checks_provider.py` says where."""
    return msgspec.convert(api_tree(data), ApiFile)
