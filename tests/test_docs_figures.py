"""Figures in the documentation match the program.

Each row has a page, the text around a figure, and the figure in the code. The test does not find figures in other text:
when a page names a limit, add a row.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.api import endpoint, sessions
from tidegate.config import checks
from tidegate.config import validate as limits
from tidegate.core import units
from tidegate.core.spec import DEFAULT_RETRY, FormInput, GatewaySettings, Retention
from tidegate.deliver.deferred import MEMORY_LIMIT
from tidegate.kinds.webhook import WebhookDestination
from tidegate.process.edge import framing, protocol, server
from tidegate.pull.on_demand import CACHE_BYTES
from tidegate.query.stream import HEARTBEAT_SECONDS, MAX_STREAMS, QUEUE_BYTES
from tidegate.receive import ingress as door
from tidegate.receive.reading import MAX_HOPS
from tidegate.rules.language import expressions, filters, transforms
from tidegate.rules.language import templates as texts
from tidegate.rules.language.urlencoded import MAX_FORM_FIELDS
from tidegate.rules.outbound import circuit_breaker
from tidegate.store.tail import TAIL_BYTES

DOCS = Path(__file__).parent.parent / "docs"
WORDS = {3: "three", 5: "five", 10: "ten"}

# (page, text of the page, the figure of the program in it)
FIGURES: list[tuple[str, str, object]] = [
    ("operations.md", "`max_waiting` ({})", GatewaySettings().max_waiting),
    ("operations.md", "| `retention.events` | {} |", Retention().events),
    ("operations.md", "| `retention.size` | {} |", Retention().size),
    ("operations.md", "| `retention.dedupe` | {} |", Retention().dedupe),
    ("operations.md", "newest events in memory {} MiB", TAIL_BYTES >> 20),
    ("operations.md", "cache of pulls {} MiB", CACHE_BYTES >> 20),
    ("operations.md", "retries held in memory {} for each destination", MEMORY_LIMIT),
    ("operations.md", "{} streams with at most", MAX_STREAMS),
    ("operations.md", "streams with at most {} MiB each", QUEUE_BYTES >> 20),
    ("operations.md", "408 after {:g} s (API", door.BODY_SECONDS),
    ("operations.md", "(API: {:g} s)", endpoint.BODY_SECONDS),
    ("operations.md", "A request head is over {} KiB", framing.HEAD_LIMIT_BYTES >> 10),
    ("operations.md", "takes longer than {} s", protocol.HEAD_SECONDS),
    ("operations.md", "sends a heartbeat every {:g} s", HEARTBEAT_SECONDS),
    ("operations.md", "waits for requests in flight ({} s at most", server.DRAIN_SECONDS),
    ("reference/api.md", "did not arrive within {:g} s", door.BODY_SECONDS),
    ("reference/api.md", "a form with more than {} fields", MAX_FORM_FIELDS),
    ("reference/api.md", "passed through more than {} gateways", MAX_HOPS),
    ("reference/errors.md", "{} streams are open", MAX_STREAMS),
    ("reference/errors.md", "did not arrive within {:g} s. |", endpoint.BODY_SECONDS),
    ("reference/filters.md", "At most {} names and values", filters.MAX_VALUES),
    ("reference/filters.md", "{} levels", filters.MAX_DEPTH),
    ("reference/filters.md", "At most {} paths in each key", transforms.MAX_PATHS),
    ("reference/filters.md", "an expression has at most {} characters", expressions.MAX_EXPRESSION),
    ("reference/filters.md", "At most {:,} characters of text", texts.MAX_TEMPLATE),
    ("reference/filters.md", "may hold the event at most {}", expressions.MAX_COPIES),
    ("reference/filters.md", "characters of text, {} filters and parts joined by", texts.MAX_WORK),
    ("reference/filters.md", "in it, {:,} characters of output", texts.MAX_OUTPUT),
    ("guides/deliver-and-verify.md", "retry = {}   # 7 waits", '["' + '", "'.join(DEFAULT_RETRY) + '"]'),
    ("guides/deliver-and-verify.md", "longer than `give_up_after` ({})", WebhookDestination(url="").give_up_after),
    ("guides/deliver-and-verify.md", "{} different events when the destination never", circuit_breaker.EVENTS_TO_OPEN),
    ("concepts.md", "never answered, {} when it did", circuit_breaker.EVENTS_TO_OPEN_EARLY),
    ("concepts.md", "rejects it after {} hops", WORDS[MAX_HOPS]),
    ("security.md", "A login link works once, within the {}", {3600: "hour"}[sessions.LINK_SECONDS]),
    ("guides/lead-form.md", "(`max_body`, {} KiB)", units.size_bytes(FormInput().max_body) >> 10),
    ("guides/ask-on-demand.md", "The cache is in memory, {} MiB in total", CACHE_BYTES >> 20),
    ("reference/configuration.md", "| 30d; {} |", checks.MAX_RETRIES),
    ("reference/configuration.md", "| 1B | {}MiB |", limits.MAX_BODY_BYTES >> 20),
    ("reference/configuration.md", "| above 0 | {:.0f}/s |", limits.MAX_RATE_PER_SECOND),
    ("reference/configuration.md", "| {}MiB | no limit |", checks.MIN_STORE_BYTES >> 20),
]


@pytest.mark.parametrize(("page", "text", "figure"), FIGURES, ids=lambda value: str(value)[:40])
def test_a_documented_figure_is_the_one_of_the_program(page: str, text: str, figure: object) -> None:
    assert " ".join(text.format(figure).split()) in " ".join((DOCS / page).read_text().split())
