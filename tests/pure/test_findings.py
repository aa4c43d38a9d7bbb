"""The ring of findings: reports merge, memory is bounded, samples hold no credential, and each code is documented."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tidegate.core import findings as module
from tidegate.core.clock import ManualClock
from tidegate.core.finding_codes import CODES, Severity
from tidegate.core.findings import MAX_FINDINGS, MAX_SAMPLE_CHARACTERS, MAX_SAMPLES, Findings, finding, mask
from tidegate.rules.sync.upstream_rate_limit import UpstreamRateLimit

SOURCE = Path(__file__).parent.parent.parent / "src" / "tidegate"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ring(clock: ManualClock) -> Findings:
    return Findings(clock)


def test_reports_of_one_code_and_subject_are_one_finding(ring: Findings, clock: ManualClock) -> None:
    ring.report("rejections_dropped", "source:shop", "first")
    clock.advance(60)
    ring.report("rejections_dropped", "source:shop", "second", count=4)
    ring.report("rejections_dropped", "source:crm")
    crm, shop = ring.listed()
    assert (crm.subject, crm.count, crm.samples) == ("source:crm", 1, [])
    assert (shop.count, shop.samples, shop.kind, shop.name) == (5, ["first", "second"], "source", "shop")
    assert shop.first_at is not None and shop.last_at is not None and shop.first_at < shop.last_at


def test_the_text_comes_from_the_table_unless_the_reporter_knows_a_better_remedy(ring: Findings) -> None:
    ring.report("rejections_not_stored", "store:rejections", remedy="free some disk space")
    (one,) = ring.listed()
    row = CODES["rejections_not_stored"]
    assert (one.severity, one.title, one.summary) == (row.severity, row.title, row.meaning)
    assert one.remedy == "free some disk space"


def test_the_most_severe_comes_first(ring: Findings) -> None:
    ring.report("config_out_of_date", "node:this")
    ring.report("config_warning", "config:file")
    ring.report("rejections_dropped", "source:shop")
    assert [one.severity for one in ring.listed()] == [Severity.ERROR, Severity.WARNING, Severity.NOTICE]


def test_a_resolved_finding_is_gone_and_one_that_nobody_reported_for_a_day_too(
    ring: Findings, clock: ManualClock
) -> None:
    ring.report("config_warning", "config:file")
    ring.resolve("config_warning", "config:file")
    ring.resolve("config_warning", "config:file")
    assert ring.listed() == []
    ring.report("config_warning", "config:file")
    clock.advance(module.KEPT_SECONDS - 1)
    assert len(ring.listed()) == 1
    clock.advance(2)
    assert ring.listed() == []


def test_memory_is_bounded_and_what_was_dropped_is_a_finding(ring: Findings) -> None:
    ring.report("config_out_of_date", "node:this")  # an error stays when notices go
    for number in range(3 * MAX_FINDINGS):
        ring.report("rejections_dropped", f"source:{number}" + "x" * 10_000, "y" * 10_000)
    found = ring.listed()
    assert len(found) <= MAX_FINDINGS
    assert found[0].code == "config_out_of_date"
    dropped = next(one for one in found if one.code == "findings_dropped")
    assert dropped.count == 3 * MAX_FINDINGS + 2 - len(found)
    assert len(dropped.samples) == MAX_SAMPLES
    assert max(len(sample) for one in found for sample in one.samples) <= MAX_SAMPLE_CHARACTERS
    assert max(len(one.subject) for one in found) <= module.MAX_NAME_CHARACTERS


def test_full_samples_take_a_newer_one_once_a_second(ring: Findings, clock: ManualClock) -> None:
    for number in range(20):
        ring.report("config_warning", "config:file", f"sample {number}")
    assert ring.listed()[0].samples == [f"sample {number}" for number in range(MAX_SAMPLES)]
    clock.advance(2)
    ring.report("config_warning", "config:file", "new")
    assert ring.listed()[0].samples == ["sample 1", "sample 2", "sample 3", "sample 4", "new"]
    assert ring.listed()[0].count == 21


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cr3t-value",
        "authorization: token s3cr3t-value and more",
        '{"api_key": "s3cr3t-value", "id": 7}',
        "https://shop.example/orders?access_token=s3cr3t-value&page=2",
        "https://user:s3cr3t-value@shop.example/orders",
        "client_secret=s3cr3t-value",
        "X-Shop-Signature: s3cr3t-value",
        "cookie: session=s3cr3t-value",
        "the answer said Bearer s3cr3t-value",
        "whsec_s3cr3t-value",
        "tg_s3cr3t-value",
        "eyJhbGciOiJIUzI1NiJ9.s3cr3t-value.s3cr3t-value",
    ],
)
def test_a_sample_holds_no_credential(ring: Findings, text: str) -> None:
    ring.report("config_warning", "config:file", text)
    (sample,) = ring.listed()[0].samples
    assert "s3cr3t" not in sample and module.MASKED in sample


def test_a_text_without_credentials_stays_as_it_is_on_one_line() -> None:
    assert mask("page token 'abc' repeated on page 7") == "page token 'abc' repeated on page 7"
    assert mask('{"id": 7,\n  "name": "Ann"}') == '{"id": 7, "name": "Ann"}'


def test_a_state_takes_its_remedy_from_the_table_with_the_name_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    row = CODES["config_warning"]._replace(remedy="tidegate resume {name}")
    monkeypatch.setitem(CODES, "config_warning", row)
    assert finding("config_warning", "destination:crm", "x").remedy == "tidegate resume crm"
    assert finding("config_warning", "destination:crm", "x", "do this").remedy == "do this"


def constants(wanted: set[str]) -> set[str]:
    """Those of the wanted that are a text constant of the program outside the table itself."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        if path.parent.name != "finding_codes" and any(one in text for one in wanted - found):
            found |= {one.value for one in ast.walk(ast.parse(text)) if isinstance(one, ast.Constant)} & wanted
    return found


def reported_codes() -> set[str]:
    """Every code that is given as text to `report`, `resolve` or `finding` somewhere in the program."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        if not re.search(r"\b(report|resolve|note|finding)\b", text):
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in ("report", "resolve", "note", "finding"):
                continue
            owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            if (
                (name in ("report", "resolve") and "findings" in owner)
                or (name in ("note", "resolve") and "health" in owner)
                or name == "finding"
            ):
                found.add(str(node.args[0].value))
    return found | {code for status in LIMIT_ANSWERS for code in limit_codes(*status)}


# The rate limit is a pure rule: it returns codes, and its caller notes them.
LIMIT_ANSWERS = [(429, "Retry-After", "7200"), (429, "Retry-After", "900000"), (200, "X-RateLimit-Reset", "soon")]


def limit_codes(status: int, name: str, value: str) -> set[str]:
    return {code for code, _ in UpstreamRateLimit().observe(status, [(name, value)], 0.0, 1_800_000_000_000_000)}


def test_every_code_that_is_reported_is_in_the_table_and_every_row_is_reported() -> None:
    assert len(reported_codes()) > 5
    assert reported_codes() - CODES.keys() == set()
    reasons = {code.removeprefix("rejected_") for code in CODES if code.startswith("rejected_")}
    used = constants(CODES.keys() | reasons)
    assert {code for code in CODES.keys() - used if code.removeprefix("rejected_") not in reasons} == set()
    assert reasons - used - {"dropped", "other"} == set(), "a reason that no rejection has"


def test_each_row_says_what_it_means_and_what_to_do() -> None:
    for code, row in CODES.items():
        assert row.meaning.endswith("."), code
        assert row.remedy and not row.remedy.endswith("."), code
        assert len(row.title) <= 30, code
