"""The documentation describes what the program does, in plain English.

Every key, code, metric, path and provider is documented. Generated pages are current, every link works, and no phrase
of `support/phrases.py` comes back. The rules are functions over text, so that the last tests can show each of them
failing. Samples and commands have a file of their own: `test_docs_samples.py`.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from support import phrases
from support.docs_pages import DOCS, FENCE, PAGES, ROOT, SPAN, name_of
from tidegate.api.app import _DOCUMENTS
from tidegate.api.keys import SCOPES
from tidegate.api.metrics import METRICS
from tidegate.api.routes import PREFIX, TABLE
from tidegate.core.errors import TidegateError
from tidegate.core.model import DeferredState, DeliveryState, Origin, Outcome
from tidegate.dashboard.render import NAVIGATION
from tidegate.providers import webhook_names
from tidegate.query import schemas as forms
from tidegate.query.advice import WORDS as ADVICE
from tidegate.rules.inbound.signatures import Verification
from tidegate.rules.language.operators import KNOWN
from tidegate.rules.language.templates import FILTERS, OWN_FILTERS, TESTS
from tidegate.rules.language.view import PARTS

REFERENCE = DOCS / "reference"


def script(name: str) -> ModuleType:
    """A script of `docs` as it sees itself: with its folder on the path."""
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(DOCS))


GENERATE = script("generate")
GENERATE_CONFIGURATION = script("generate_configuration")
CONCEPTS = (DOCS / "concepts.md").read_text()
WANTED = """
door source input destination route event type origin offset committed audience lane sender delivery attempt
outcome settle lease fence retry replay resource record version pull poll token cursor change reconcile heal
feed dead secret credential tenant node log deferred blocked circuit probe provider rejection dedupe counters scan
snapshot staleness advice retention key session owner guard envelope filter transform ack stream partition mark
"""


# -- the generated pages ---------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*sorted(REFERENCE.glob("*.md")), GENERATE.MORE], ids=name_of)
def test_a_generated_page_is_current(page: Path) -> None:
    text = page.read_text()
    assert GENERATE.fresh(text) == text, f"run: make docs, and commit {name_of(page)}"


def test_every_generated_part_is_used_on_a_page() -> None:
    used = {
        name
        for page in (*REFERENCE.glob("*.md"), GENERATE.MORE)
        for _, name, _ in GENERATE.MARK.findall(page.read_text())
    }
    assert used == set(GENERATE.PARTS)


def test_every_configuration_key_has_a_row() -> None:
    text = (REFERENCE / "configuration.md").read_text()
    for name, info in GENERATE_CONFIGURATION.structs().items():
        listed = (
            *GENERATE_CONFIGURATION.SECTIONS,
            *sum(GENERATE_CONFIGURATION.UNIONS.values(), ()),
            *GENERATE_CONFIGURATION.KIND_STRUCTS,
        )
        assert name == "Config" or name in listed, name
        for field in info.fields if name != "Config" else ():
            assert f"| `{field.encode_name}` |" in text, f"{name}.{field.encode_name}"
        if info.tag is not None:
            assert f"`{info.tag}`" in text, f"{name}, type {info.tag}"


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
    assert [name for name in webhook_names() if f"| `{name}` |" not in text] == []


def test_every_operator_part_and_filter_is_explained() -> None:
    spans = set(SPAN.findall((REFERENCE / "filters.md").read_text()))
    operators = set(KNOWN)
    assert (operators | set(PARTS) | set(FILTERS) | set(OWN_FILTERS) | set(TESTS)) - spans == set()


# -- errors ----------------------------------------------------------------------------------------------


def codes_in(tree: ast.AST) -> Iterator[str]:
    """Error codes in a module: `code = "..."` in a class, `code="..."` in a call, the second argument of `_problem`."""
    for node in ast.walk(tree):
        found: list[ast.expr | None] = []
        if isinstance(node, ast.ClassDef):
            for one in node.body:
                if isinstance(one, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "code" for t in one.targets):
                    found.append(one.value)
        elif isinstance(node, ast.Call):
            found += [one.value for one in node.keywords if one.arg == "code"]
            if isinstance(node.func, ast.Name) and node.func.id in ("_problem", "problem"):
                found.append(node.args[1])
        yield from (one.value for one in found if isinstance(one, ast.Constant) and isinstance(one.value, str))


def documented_codes(text: str) -> set[str]:
    return set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))


ERRORS = (REFERENCE / "errors.md").read_text()


@cache
def program_codes() -> set[str]:
    return {
        code
        for path in (ROOT / "src" / "tidegate").rglob("*.py")
        if "demo" not in path.relative_to(ROOT).parts and re.search(r"\bcode\b|problem\(", text := path.read_text())
        for code in codes_in(ast.parse(text))
    }


def test_every_error_code_is_documented_and_no_other() -> None:
    assert program_codes() - documented_codes(ERRORS) == set(), "not documented"
    assert documented_codes(ERRORS) - program_codes() == set(), "documented, but not in the program"


def test_the_table_of_errors_has_the_status_of_each_class() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| ([0-9]{3}) \| (yes)? ?\|", ERRORS, re.MULTILINE)
    documented = {code: (int(status), retry == "yes") for code, status, retry in rows}
    for one in error_classes(TidegateError):
        if "code" in vars(one) and one.code in documented:
            assert documented[one.code] == (one.status, one.retryable), one.code


def error_classes(root: type[TidegateError]) -> Iterator[type[TidegateError]]:
    yield root
    for one in root.__subclasses__():
        yield from error_classes(one)


def test_every_reason_of_a_rejection_is_documented() -> None:
    assert [one.value for one in Verification if one is not Verification.OK and f"`{one.value}`" not in ERRORS] == []


# -- words -----------------------------------------------------------------------------------------------


def words_of_the_program() -> set[str]:
    """Every term in the API, the command line and the states of deliveries."""
    words = {one.value for one in (*Origin, *DeliveryState)} | {one.name.lower() for one in (*Outcome, *DeferredState)}
    words |= {*ADVICE, "webhook", "form", "publish", "api", "imap", "owner", "scopes", "audience", "lane", "lease"}
    for entry in TABLE:
        words |= {part for part in entry.path.split("/") if part and "{" not in part}
    return words


def missing_words(words: set[str], text: str) -> list[str]:
    """Words that are not on the page. A singular also explains its plural."""
    known = {*re.findall(r"[a-z_]+", text.lower()), *re.findall(r"[a-z]+", text.lower())}
    forms = {word: {word, word.removesuffix("s"), word.removesuffix("ies") + "y"} for word in words}
    return sorted(word for word, ways in forms.items() if not ways & known)


def test_every_term_of_the_program_is_explained() -> None:
    assert missing_words(words_of_the_program(), CONCEPTS) == []


def test_the_terms_of_the_product_are_defined() -> None:
    """Each one is in bold, or in the first column of a table, where it is explained."""
    marked = " ".join(re.findall(r"\*\*([^*]+)\*\*", CONCEPTS) + re.findall(r"^\| ([^|]+) \|", CONCEPTS, re.MULTILINE))
    assert [word for word in WANTED.split() if word not in marked.lower()] == []


def members_of_responses() -> set[str]:
    """The words in the member names of API responses."""
    structs = [one for one in vars(forms).values() if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    members = {word for one in structs for field in one.__struct_fields__ for word in field.split("_")}
    return members - {"ms", "per", "p50", "p99"}


def test_every_word_in_a_member_name_of_a_response_is_explained() -> None:
    assert missing_words(members_of_responses(), CONCEPTS) == []


def heads_of_tables(template: str) -> set[str]:
    heads = re.findall(r"<thead>(.*?)</thead>", template, re.DOTALL)
    cells = [cell for head in heads for cell in re.findall(r"<th[^>]*>(.*?)</th>", head, re.DOTALL)]
    texts = {re.sub(r"<[^>]+>|[\u2212+]", "", cell).strip() for cell in cells if "{" not in cell}
    return {text.lower() for text in texts if text}


def test_every_label_of_the_dashboard_is_explained() -> None:
    """Every page title, and every table head that is plain text."""
    templates = (ROOT / "src" / "tidegate" / "dashboard" / "templates").glob("*.html")
    heads = set().union(*(heads_of_tables(page.read_text()) for page in templates))
    titles = {words.lower() for _, _, words in NAVIGATION}
    assert len(heads) > 20
    assert sorted(word for word in heads | titles if word not in CONCEPTS.lower()) == [], (
        "explain it in docs/concepts.md"
    )


# -- phrases that may not come back -----------------------------------------------------------------------

# All of the code is checked: the program (`.` is src/tidegate), the sample company, the bench and the tests.
PLAIN: tuple[str, ...] = (".", "examples/tidegate_company", "bench", "deploy", "tests")
# Recorded data of an earlier release and of providers keeps the words of its time.
RECORDED = ROOT / "tests" / "data"
# A schema step that was applied somewhere never changes, so steps keep the names of their time.
SCHEMA_STEP = re.compile(r"store/sql/\w+/schema/\d+_")


def plain_path(name: str) -> Path:
    return ROOT / "src" / "tidegate" if name == "." else ROOT / name


def plain_files() -> list[Path]:
    """Pictures, the generator, the program and its tests: everything checked that is not a page."""
    files = [file for one in map(plain_path, PLAIN) for file in (sorted(one.rglob("*")) if one.is_dir() else [one])]
    files += [*DOCS.glob("*.py"), *sorted(DOCS.rglob("*.svg"))]
    shown = [file for file in files if file.suffix in phrases.SUFFIXES and RECORDED not in file.parents]
    return [file for file in shown if not SCHEMA_STEP.search(name_of(file))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_phrase_comes_back_on_a_page(page: Path) -> None:
    assert phrases.in_page(page) == []


@pytest.mark.parametrize("file", plain_files(), ids=name_of)
def test_no_phrase_comes_back_in_the_program(file: Path) -> None:
    assert phrases.in_source(file) == []


def test_every_finished_folder_exists() -> None:
    assert [name for name in PLAIN if not plain_path(name).exists()] == []


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
def test_every_link_works(page: Path) -> None:
    assert broken_links(page, page.read_text()) == []


def test_the_readme_and_the_list_of_pages_name_every_guide() -> None:
    guides = {file.name for file in (DOCS / "guides").glob("*.md")}
    for page in (ROOT / "README.md", DOCS / "README.md"):
        assert guides - set(re.findall(r"guides/([a-z-]+\.md)\)", page.read_text())) == set(), page


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    queue = [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)\s#]+)", without_code(page.read_text())):
            file = (page.parent / target).resolve() if "://" not in target else page
            queue += sorted(file.glob("*.md")) if file.is_dir() else [file]
    assert set(PAGES) - seen == set()


# -- claims and pictures ----------------------------------------------------------------------------------


def test_every_security_claim_names_a_test_that_exists() -> None:
    text = (DOCS / "security.md").read_text()
    named = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", text)
    missing = [
        (file, test)
        for file, test in named
        if not (ROOT / file).exists() or (test and f"def {test}(" not in (ROOT / file).read_text())
    ]
    assert missing == []
    rows = re.findall(r"^\| (?!claim|finding|---)(.+) \|$", text, re.MULTILINE)
    assert rows and [row for row in rows if "`tests/" not in row] == []


def test_every_finding_of_an_attack_names_its_test_and_its_fix() -> None:
    section = (DOCS / "security.md").read_text().partition("## Findings of attacks")[2].partition("\n## ")[0]
    table = section.partition("These were checked")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(rows) > 25
    for finding, tests, fix in rows[1:]:
        assert finding and fix, finding
        assert all(re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`", one) for one in tests.split(", ")), finding


def test_no_page_names_a_path_or_host_of_a_workplace() -> None:
    """Local paths and the host of a package registry are useless to readers."""
    strange = re.compile(r"(?<![\w./])/(?:work|tmp|home|root|Users)/|\.internal\b|pypi\.[a-z]+/simple")
    assert [name_of(page) for page in PAGES if strange.search(page.read_text())] == []


class _Ids(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids |= {value or "" for name, value in attrs if name == "id"}


def test_pictures_have_a_title_both_themes_and_no_external_files() -> None:
    for picture in (DOCS / "pictures").glob("*.svg"):
        text = picture.read_text()
        parser = _Ids()
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


def test_a_phrase_that_came_back_is_found(tmp_path: Path) -> None:
    page = "Whoever asks\nis told. Dead letters stay.\n<!-- generated: a -->\nthe books\n<!-- end -->\nIt is\nno JSON."
    assert [line.split(" (")[0] for line in phrases.found(phrases.page_text(page))] == [
        "line 1: 'Whoever'",
        "line 2: 'told'",
        "line 6: 'is no JSON'",
    ]
    assert phrases.found("There is no gateway. Letters, digits and hyphens. It is no longer here. Dashboard.") == []
    assert phrases.page_text("### Renamed\n\n`refusals`\n\n## 0.1\n") == "\n\n\n\n## 0.1\n"
    (tmp_path / "a.py").write_text('told_at = judgeHTTP(1)  # by whoever\ntask.cancelled()\nx = "2x is no duration"\n')
    assert [line.split(" (")[0] for line in phrases.in_source(tmp_path / "a.py")] == [
        "line 1: name 'told_at' has the word 'told'",
        "line 1: name 'judgeHTTP' has the word 'judge'",
        "line 1: 'whoever'",
        "line 3: 'is no duration'",
    ]
