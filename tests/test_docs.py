"""What the documentation says is what the program does.

Every key, code, metric, verb, option, path and provider is documented; generated pages are current; every link leads
somewhere; every configuration shown passes `tidegate check`, and every command shown exists. The rules are functions
over text, so that the last tests can show each of them failing.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import msgspec
import pytest

from tidegate.answer import forms
from tidegate.answer.advice import WORDS as ADVICE
from tidegate.api.app import _DOCUMENTS
from tidegate.api.keys import SCOPES
from tidegate.api.metrics import METRICS
from tidegate.api.routes import PREFIX, TABLE
from tidegate.cli import VERBS, cli
from tidegate.config.load import load_file
from tidegate.dashboard.render import NAVIGATION
from tidegate.errors import ConfigError, TidegateError
from tidegate.model import DeliveryState, ExceptionState, Origin, Outcome
from tidegate.providers import provider_names
from tidegate.rules.filters import _JUDGES, PARTS
from tidegate.rules.signatures import Verdict
from tidegate.rules.texts import FILTERS, OWN_FILTERS, TESTS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = generator()
CONCEPTS = (DOCS / "concepts.md").read_text()
WANTED = """
door source inlet destination route event type origin offset position audience lane sender delivery attempt
outcome settled lease fence retry replay resource record version pull poll token cursor change reconcile heal
feed dead secret credential tenant node log exception circuit probe provider refusal dedupe books scan snapshot
staleness advice retention key session owner guard envelope filter transform ack stream
"""


# -- the generated pages ---------------------------------------------------------------------------------


@pytest.mark.parametrize("page", sorted(REFERENCE.glob("*.md")), ids=name_of)
def test_a_generated_page_is_current(page: Path) -> None:
    text = page.read_text()
    assert GENERATE.fresh(text) == text, f"run: make docs, and commit {name_of(page)}"


def test_every_generated_part_stands_on_a_page() -> None:
    used = {name for page in REFERENCE.glob("*.md") for _, name, _ in GENERATE.MARK.findall(page.read_text())}
    assert used == set(GENERATE.PARTS)


def test_every_configuration_key_has_a_row() -> None:
    text = (REFERENCE / "configuration.md").read_text()
    for name, info in GENERATE.structs().items():
        assert name == "Config" or name in GENERATE.SECTIONS or name in sum(GENERATE.UNIONS.values(), ()), name
        for field in info.fields if name != "Config" else ():
            assert f"| `{field.encode_name}` |" in text, f"{name}.{field.encode_name}"
        if info.tag is not None:
            assert f"`{info.tag}`" in text, f"{name}, type {info.tag}"


def test_every_verb_and_option_has_a_row() -> None:
    text = (REFERENCE / "command-line.md").read_text()
    for words, command in commands():
        assert f"## `tidegate {' '.join(words)}`" in text
        section = text.partition(f"## `tidegate {' '.join(words)}`\n")[2].partition("\n## ")[0]
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help and all(f"`{name}`" in section for name in option.opts), (words, option.opts)


def test_every_variable_of_the_environment_is_named() -> None:
    text = (REFERENCE / "command-line.md").read_text()
    sources = (path.read_text() for path in (ROOT / "src" / "tidegate").rglob("*.py"))
    variables = {name for source in sources for name in re.findall(r"TIDEGATE_[A-Z_]*[A-Z]", source)}
    assert len(variables) > 8
    assert sorted(name for name in variables if f"`{name}`" not in text) == []


def test_every_path_of_the_api_is_listed() -> None:
    text = (REFERENCE / "api.md").read_text()
    calls = [f"`{one.method} {PREFIX}{one.path}`" for one in TABLE] + [f"`GET {path}`" for path in _DOCUMENTS]
    assert [call for call in [*calls, "`GET /livez`", "`GET /readyz`", "`POST /in/SOURCE`"] if call not in text] == []
    assert all(f"`{scope}`" in text for scope in SCOPES)


def test_every_metric_is_listed() -> None:
    text = (REFERENCE / "metrics.md").read_text()
    assert [name for name in METRICS if name not in text] == []


def test_every_provider_is_listed() -> None:
    text = (REFERENCE / "providers.md").read_text()
    assert [name for name in provider_names() if f"| `{name}` |" not in text] == []


def test_every_operator_part_and_filter_is_explained() -> None:
    spans = set(SPAN.findall((REFERENCE / "filters.md").read_text()))
    operators = {*_JUDGES, "$and", "$or", "$not"}
    assert (operators | set(PARTS) | set(FILTERS) | set(OWN_FILTERS) | set(TESTS)) - spans == set()


# -- errors ----------------------------------------------------------------------------------------------


def codes_in(tree: ast.AST) -> Iterator[str]:
    """Codes of errors in a module: `code = "..."` of a class, `code="..."` of a call, and the door's `_problem`."""
    for node in ast.walk(tree):
        found: list[ast.expr | None] = []
        if isinstance(node, ast.ClassDef):
            for one in node.body:
                if isinstance(one, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "code" for t in one.targets):
                    found.append(one.value)
        elif isinstance(node, ast.Call):
            found += [one.value for one in node.keywords if one.arg == "code"]
            if isinstance(node.func, ast.Name) and node.func.id == "_problem":
                found.append(node.args[1])
        yield from (one.value for one in found if isinstance(one, ast.Constant) and isinstance(one.value, str))


def documented_codes(text: str) -> set[str]:
    return set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))


ERRORS = (REFERENCE / "errors.md").read_text()
CODES = {
    code
    for path in (ROOT / "src" / "tidegate").rglob("*.py")
    if "demo" not in path.relative_to(ROOT).parts
    for code in codes_in(ast.parse(path.read_text()))
}


def test_every_error_code_is_documented_and_no_other() -> None:
    assert CODES - documented_codes(ERRORS) == set(), "not documented"
    assert documented_codes(ERRORS) - CODES == set(), "documented, and not in the program"


def test_the_table_of_errors_tells_the_status_of_each_class() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| ([0-9]{3}) \| (again)? ?\|", ERRORS, re.MULTILINE)
    told = {code: (int(status), again == "again") for code, status, again in rows}
    for one in error_classes(TidegateError):
        if "code" in vars(one) and one.code in told:
            assert told[one.code] == (one.status, one.retryable), one.code


def error_classes(root: type[TidegateError]) -> Iterator[type[TidegateError]]:
    yield root
    for one in root.__subclasses__():
        yield from error_classes(one)


def test_every_reason_of_a_refusal_is_named() -> None:
    assert [one.value for one in Verdict if one is not Verdict.OK and f"`{one.value}`" not in ERRORS] == []


# -- words -----------------------------------------------------------------------------------------------


def words_of_the_program() -> set[str]:
    """Every word that a user meets in the API, the command line and the states of things."""
    words = {one.value for one in (*Origin, *DeliveryState)} | {one.name.lower() for one in (*Outcome, *ExceptionState)}
    words |= {*ADVICE, "webhook", "form", "publish", "api", "imap", "owner", "scopes", "audience", "lane", "lease"}
    for entry in TABLE:
        words |= {part for part in entry.path.split("/") if part and "{" not in part}
    return words


def missing_words(words: set[str], text: str) -> list[str]:
    """Words that the page lacks. A plural is explained by its singular, and a verb's `-ing` is no other word."""
    known = {*re.findall(r"[a-z_]+", text.lower()), *re.findall(r"[a-z]+", text.lower())}
    forms = {word: {word, word.removesuffix("s"), word.removesuffix("ies") + "y"} for word in words}
    return sorted(word for word, ways in forms.items() if not ways & known)


def test_every_word_of_the_program_is_explained() -> None:
    assert missing_words(words_of_the_program(), CONCEPTS) == []


def test_the_words_of_the_product_are_defined() -> None:
    """Each of them stands in bold, or in the first column of a table, where it is explained."""
    marked = " ".join(re.findall(r"\*\*([^*]+)\*\*", CONCEPTS) + re.findall(r"^\| ([^|]+) \|", CONCEPTS, re.MULTILINE))
    assert [word for word in WANTED.split() if word not in marked.lower()] == []


def members_of_answers() -> set[str]:
    """The words that members of the API's answers are made of."""
    structs = [one for one in vars(forms).values() if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    members = {word for one in structs for field in one.__struct_fields__ for word in field.split("_")}
    return members - {"ms", "per", "p50", "p99"}


def test_every_member_of_an_answer_is_made_of_words_that_are_explained() -> None:
    assert missing_words(members_of_answers(), CONCEPTS) == []


def heads_of_tables(template: str) -> set[str]:
    heads = re.findall(r"<thead>(.*?)</thead>", template, re.DOTALL)
    cells = [cell for head in heads for cell in re.findall(r"<th[^>]*>(.*?)</th>", head, re.DOTALL)]
    texts = {re.sub(r"<[^>]+>|[\u2212+]", "", cell).strip() for cell in cells if "{" not in cell}
    return {text.lower() for text in texts if text}


def test_what_the_dashboard_calls_things_is_explained() -> None:
    """Every room, and every head of a table that is plain text."""
    templates = (ROOT / "src" / "tidegate" / "dashboard" / "templates").glob("*.html")
    heads = set().union(*(heads_of_tables(page.read_text()) for page in templates))
    rooms = {words.lower() for _, _, words in NAVIGATION}
    assert len(heads) > 20
    assert sorted(word for word in heads | rooms if word not in CONCEPTS.lower()) == [], (
        "explain it in docs/concepts.md"
    )


# -- links -----------------------------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-"))
    return found


def broken_links(page: Path, text: str) -> list[str]:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text()) == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)\s#]+)", without_code(page.read_text())):
            file = (page.parent / target).resolve() if "://" not in target else page
            ahead += sorted(file.glob("*.md")) if file.is_dir() else [file]
    assert set(PAGES) - seen == set()


# -- configurations --------------------------------------------------------------------------------------


class Anything(dict[str, str]):
    """An environment in which every variable is set, to a secret of a length that all schemes take."""

    def __missing__(self, name: str) -> str:
        return "https://hooks.example.com/x" if name.endswith("URL") else "whsec_" + "QUJD" * 8

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]

    def __contains__(self, name: object) -> bool:
        return True


def shown(language: str) -> list[Any]:
    """(page and line, block) of the code blocks in a language."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in FENCE.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match[2], id=f"{name_of(page)}:{line}"))
    return found


def with_what_it_names(block: str) -> str:
    """A piece of a configuration, with the sources and destinations that its routes name and it leaves out."""
    tree = tomllib.loads(block)
    sources: dict[str, set[str]] = {}
    destinations: set[str] = set()
    for route in tree.get("routes", {}).values():
        for name in names(route["from"]):
            if name != "*" and name not in tree.get("sources", {}):
                sources.setdefault(name, set()).update(route.get("changes", ()))
        destinations.update(name for name in names(route["to"]) if name not in tree.get("destinations", {}))
    made = [f'[destinations.{name}]\nurl = "https://b.example"' for name in destinations]
    for name, resources in sources.items():
        made.append(f'[sources.{name}.api]\nbase_url = "https://a.example"')
        made += [f'[sources.{name}.resources.{one}]\npath = "/a"' for one in resources]
    return "\n".join([block, *made])


def names(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("block", shown("toml"))
def test_every_configuration_shown_is_accepted(block: str, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "stripe").write_text("whsec_" + "QUJD" * 8)
    file = tmp_path / "tidegate.toml"
    file.write_text(with_what_it_names(block))
    load_file(file, Anything())


@pytest.mark.parametrize("block", shown("json"))
def test_every_json_shown_is_json(block: str) -> None:
    json.loads(block)


@pytest.mark.parametrize("block", shown("python"))
def test_every_python_shown_compiles(block: str) -> None:
    compile(block, "documentation", "exec")


# -- commands --------------------------------------------------------------------------------------------


def commands() -> list[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(cli)
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for verb in VERBS:
        command = cli.get_command(context, verb)
        assert command is not None
        found.append(((verb,), command))
        if isinstance(command, click.Group):
            found += [((verb, name), one) for name, one in command.commands.items()]
    return found


COMMANDS = dict(commands())
TARGETS = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def told_commands(text: str) -> list[list[str]]:
    """`tidegate ...` and `make ...` in code spans and in blocks of a shell."""
    places = SPAN.findall(FENCE.sub("", text))
    places += [line for language, block in FENCE.findall(text) if language == "sh" for line in block.splitlines()]
    told = []
    for place in places:
        for piece in re.split(r"&&|\||\$\(|;", place.partition(" # ")[0]):
            words = piece.split("#")[0].replace(")", " ").split()
            if words and words[0] in ("tidegate", "make") and len(words) > 1:
                told.append(words)
    return told


def unknown_command(words: list[str]) -> str | None:
    """What is wrong with a command that is shown; None when nothing is."""
    if words[0] == "make":
        return None if words[1] in TARGETS or "=" in words[1] else f"make has no target {words[1]}"
    if words[1] in ("VERB", "--help", "--version"):
        return None
    if (words[1],) not in COMMANDS:
        return f"there is no verb {words[1]}"
    key = tuple(words[1:3]) if tuple(words[1:3]) in COMMANDS else (words[1],)
    group = COMMANDS[key]
    if isinstance(group, click.Group) and len(words) > 2 and words[2][0] != "-" and words[2].islower():
        return f"{words[1]} has no {words[2]}"
    options = {"--help"}.union(*[one.opts for one in group.params])
    wrong = [word for word in words if word.startswith("-") and word.partition("=")[0] not in options]
    return f"{' '.join(key)} has no option {wrong[0]}" if wrong else None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_shown_exists(page: Path) -> None:
    wrong = [reason for words in told_commands(page.read_text()) if (reason := unknown_command(words)) is not None]
    assert wrong == []


def test_the_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "`make demo`" in text and "`make test`" in text


# -- what a claim rests on -------------------------------------------------------------------------------


def test_every_claim_of_safety_names_a_test_that_is_there() -> None:
    text = (DOCS / "security.md").read_text()
    named = re.findall(r"`(tests/[\w/.]+)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
    rows = re.findall(r"^\| (?!claim|---)(.+) \|$", text, re.MULTILINE)
    assert rows and [row for row in rows if "`tests/" not in row] == []


def test_nothing_of_a_workplace_stands_in_the_documentation() -> None:
    """Paths of a machine and names of a registry's host are nobody's business who reads this."""
    strange = re.compile(r"(?<![\w./])/(?:work|tmp|home|root|Users)/|\.internal\b|pypi\.[a-z]+/simple")
    assert [name_of(page) for page in PAGES if strange.search(page.read_text())] == []


class _Colours(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids |= {value or "" for name, value in attrs if name == "id"}


def test_pictures_have_a_title_both_themes_and_nothing_from_elsewhere() -> None:
    for picture in (DOCS / "pictures").glob("*.svg"):
        text = picture.read_text()
        parser = _Colours()
        parser.feed(text)
        assert {"title", "what"} <= parser.ids and "prefers-color-scheme: dark" in text, picture.name
        assert re.findall(r"(?:href|src|url)\W+https?:", text) == [], picture.name


# -- the rules of this file can fail ---------------------------------------------------------------------


def test_a_stale_page_a_missing_word_and_a_broken_link_are_found() -> None:
    text = (REFERENCE / "metrics.md").read_text()
    assert GENERATE.fresh(text.replace("tidegate_streams", "tidegate_brooks")) == text
    assert missing_words({"delivery", "frobnication"}, CONCEPTS) == ["frobnication"]
    page = ROOT / "README.md"
    assert broken_links(page, "[a](docs/nothing.md) [b](docs/concepts.md#nowhere) [c](docs/concepts.md#ids)") == [
        "docs/nothing.md",
        "docs/concepts.md#nowhere",
    ]


def test_an_undocumented_code_is_found() -> None:
    source = 'class A(E):\n    code = "one"\n\nraise B("x", code="two")\n_X = _problem(404, "three", "", "")\n'
    assert set(codes_in(ast.parse(source))) == {"one", "two", "three"}
    assert documented_codes("| `one` | 404 |\n| code |\n") == {"one"}


def test_a_wrong_configuration_and_a_wrong_command_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(with_what_it_names('[routes.a]\nfrom = "x"\nto = "y"\ncolour = 1'))
    with pytest.raises(ConfigError, match="colour"):
        load_file(tmp_path / "a.toml", Anything())
    assert told_commands(
        "`tidegate evnts` and\n```sh\nX=1; tidegate keys create a --scop read  # b\nmake tset\n```\n"
    ) == [
        ["tidegate", "evnts"],
        ["tidegate", "keys", "create", "a", "--scop", "read"],
        ["make", "tset"],
    ]
    wrong = ["tidegate evnts", "tidegate keys create a --scop read", "tidegate config aply", "make tset"]
    assert [unknown_command(words.split()) for words in wrong] == [
        "there is no verb evnts",
        "keys create has no option --scop",
        "config has no aply",
        "make has no target tset",
    ]
    assert unknown_command(["tidegate", "explain", "ID", "--json"]) is None
