"""Phrases that may not come back, and where to look for them.

Tidegate speaks plain American English and uses the terms of its field. Each row of `PHRASES` is a regular expression
and what to write instead; each row of `LABELS` is the same for the labels of pages, where capitals count. `NAMES` are
the words that may not be part of a name in Python code (`bad_name` and `BadName` have the parts `bad` and `name`).
A phrase that has an innocent use as well is written so that only the other use matches.
"""

from __future__ import annotations

import io
import re
import sys
import token
import tokenize
from pathlib import Path

import re2

# How it is said: (what may not come back, what to write instead).
STYLE = [
    (r"whoever|whomever", "anyone who, the person who"),
    (r"anew", "again"),
    (r"what stands", "the current state"),
    (r"(?:un)?told", "published, sent, shown, named; say who does what"),
    (r"telling", "story, notification"),
    (r"hears?|heard", "receives, reads"),
    (r"mend(?:s|ed|ing)?", "fix, repair"),
    (r"(?:a )?(?:faults?|errors?|mistakes?) of (?:ours|tidegate's own)", "internal error"),
    (r"of ours", "our, Tidegate's"),
    (r"(?<!there )(?<!there\n)(?:is|are|was|were) no (?!longer\b|more than\b|less than\b)[a-z]+", "is not a ..."),
    (r"(?<!dead )(?<!dead\n)letters(?!,? (?:and )?digits|, numbers)", "characters"),
    (r"an? letter of|control letters?|small letters?", "character"),
    (r"he|him", "it: a process is not a person"),
    (r"judg(?:e|es|ed|ing|e?ments?)", "validate, check, decide"),
    (r"stands? (?:in|with|on|at|there|under|beside|like)", "is in, is stored with"),
    (r"lies? (?:sealed|in the (?:store|clear|log|table))", "is stored"),
    (r"dear(?:er|est)", "more expensive"),
    (r"signs? of life", "heartbeat"),
    (r"for ever", "forever"),
    (r"better said here", "known gaps"),
    (r"unless said", "default"),
    (r"at most so many", "maximum number"),
    (r"make it so", "apply it"),
    (r"everything is flowing", "all systems healthy"),
    (r"is sent to again", "resumed"),
    (r"contradicts what", "conflicts with the current state"),
]

# What it is called: the private term and the field's.
TERMS = [
    (r"exceptional", "deferred"),
    (r"park(?:s|ed|ing)?", "blocked, by an earlier delivery of its key"),
    (r"(?:64|its|their|the|all|whose|our|orphaned|idle) shares|tidegate_(?:node_)?shares", "partitions"),
    (r"books", "counters"),
    (r"\w*inlets?", "input"),
    (r"refusals?", "rejection"),
    (r"turned away", "rejected"),
    (r"refused requests?", "rejected request"),
    (r"in[ _]force", "active, active configuration"),
    (r"(?:tidegate[./])?(?:answer|live|moving)(?:/|\.py)|tidegate\.(?:answer|live)", "query, runtime, migrate_store"),
    (r"troubles?|upkeep", "health check, maintenance"),
    (r"vouch(?:es|ed|ing)?", "hold the session lock"),
    (r"strays?", "orphaned partitions"),
    (r"desks?", "lock"),
    (r"halted", "suspended"),
    (r"insists?", "retry until done"),
    (r"board", "peer status"),
    (r"verbs?", "command; for HTTP, method"),
    (r"keeper", "record writer"),
    (r"breather", "Yielder"),
    (r"braked|suspects?|memos?", "stopped by ratio, candidates, state"),
    (r"in doubt", "stale, unsure"),
    (r"far ?sides?", "receiver, server"),
    (r"sight", "read context"),
    (r"husks?", "tombstone of a deleted destination"),
    (r"harbours?", "sample pages"),
    (r"texts", "templates, messages"),
    (r"what waits|oldest waits", "pending deliveries, oldest pending"),
    (r"fed (?:a|the) records?", "updated a record"),
    (r"how it is sent to", "delivery settings"),
    (r"waits between tries", "retry schedule"),
    (r"in order by", "ordering key"),
    (r"routes that (?:lead here|looked at it)", "routes, route decisions"),
    (r"came by", "origin"),
    (r"was it genuine", "signature"),
    (r"who (?:got it|did not, and why)", "delivered to, not delivered to"),
    (r"half seen within|99 of 100 within", "median delay, p99 delay"),
    (r"requests a change", "requests per change"),
]

# American spelling, also in values of the API.
SPELLING = [
    (r"cancell(?:ed|ing)", "canceled, canceling"),
    (r"catalogues?", "catalog"),
    (r"\w*behaviours?", "behavior"),
    (r"colours?|honours?|favours?|neighbours?|flavours?", "-or"),
    (r"licen[c]es?", "license"),
    (r"defence", "defense"),
    (r"centres?", "center"),
    (r"towards", "toward"),
    (r"whilst", "while"),
    (r"labell(?:ed|ing)|travell(?:ed|ing)|signall(?:ed|ing)|modell(?:ed|ing)", "one l"),
    (r"learnt", "learned"),
    (
        r"(?:recogn|normal|organ|optim|serial|initial|summar|author|synchron|general|special|minim|maxim|anonym|util|"
        r"final|custom|token|emphas|real|harmon|standard|categor|visual)is(?:e|es|ed|ing|ation)",
        "-ize",
    ),
    (r"analys(?:e|ed|ing)", "analyze"),
]


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as whole words, its blanks also across lines (a look-behind must stay of one width)."""
    spread = re.sub(r"\(\?<!.*?\)| ", lambda one: r"\s+" if one[0] == " " else one[0], pattern)
    return re.compile(rf"(?<![\w-])(?:{spread})(?![\w-])", re.IGNORECASE)


PHRASES = [(compiled(pattern), instead) for pattern, instead in (*STYLE, *TERMS, *SPELLING)]

# Labels, where capitals count: a sentence may say that a poll found nothing.
LABELS = [
    (re.compile(rf"(?<!\w){pattern}(?!\w)"), instead)
    for pattern, instead in (
        (r"What waits|Oldest waits", "Pending deliveries, Oldest pending"),
        (r"Gives up after", "Give up after"),
        (r"What happens next", "Next"),
        (r"Found nothing", "Empty polls"),
        (r"Turned away", "Rejected requests"),
        (r"No, look again", "Cancel"),
    )
]

# A look at all phrases at once, in linear time, without their surroundings: most strings have none of
# them, and a hundred expressions for each string of the code would take minutes.
_SURROUNDINGS = re.compile(r"\(\?<?[!=][^()]*(?:\([^()]*\)[^()]*)*\)")
SUSPECTED = re2.compile(
    "|".join(rf"(?i:\b{_SURROUNDINGS.sub('', one.pattern)}(?:\b|\W|$))" for one, _ in (*PHRASES, *LABELS))
)

_NAMES = """
told untold judge judged judges judging books inlet inlets refusal refusals parked park strays stray vouch vouched
troubles trouble upkeep desk halted insist husk keeper breather braked suspects memo sight harbour harbours verb
verbs farside cancelled exceptional anew mend mended whoever licence catalogue colour
"""
NAMES = frozenset(_NAMES.split())

GENERATED = re.compile(r"<!-- generated: [a-z-]+ -->\n.*?<!-- end -->", re.DOTALL)
RENAMED = re.compile(r"^### Renamed\n.*?(?=^##)", re.MULTILINE | re.DOTALL)
STANDARD = re.compile(r"CancelledError.*|cancelled\(\)", re.DOTALL)  # names of asyncio, with what follows them
# Files that quote what others spell: the API of an earlier release, a provider's state, the phrases themselves.
QUOTED = {
    "tests/test_docs.py": ".",
    "tests/support/phrases.py": ".",
    "tests/engine/test_reach.py": "cancelled",
    "tests/guarantees/test_upgrade_from_0_1.py": "cancelled",
    "tests/support/upgrade/checks.py": "cancelled",
    "tests/support/upgrade/make_data.py": "cancelled|refusals",
    "tests/support/catalog/doubles/": "cancelled|parked|'board'",
    "src/tidegate/providers/": "cancelled|parked|'board'",
}
SUFFIXES = (".py", ".sql", ".html", ".js", ".css", ".toml", ".svg")
PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def found(text: str) -> list[str]:
    """Each phrase of the text that may not come back, as `line N: the phrase (write: ...)`."""
    if not SUSPECTED.search(text):
        return []
    hits = [
        (text.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), instead)
        for pattern, instead in (*PHRASES, *LABELS)
        for match in pattern.finditer(text)
    ]
    return [f"line {line}: {phrase!r} (write: {instead})" for line, phrase, instead in sorted(hits)]


def page_text(text: str) -> str:
    """A Markdown page without what a program wrote into it and without the list of old names, lines kept."""
    for hidden in (GENERATED, RENAMED):
        text = hidden.sub(lambda match: "\n" * match[0].count("\n"), text)
    return text


def in_page(path: Path) -> list[str]:
    return found(page_text(path.read_text("utf-8")))


def in_source(path: Path) -> list[str]:
    """Phrases in the comments and strings of a Python file, and words in its names; all of the text of another file."""
    text = path.read_text("utf-8")
    quoted = next((words for name, words in QUOTED.items() if name in path.as_posix()), None)
    hits = found(text) if path.suffix != ".py" else _in_python(text)
    return [hit for hit in hits if quoted is None or not re.search(quoted, hit)]


def _in_python(text: str) -> list[str]:
    hits: list[str] = []
    for one in tokenize.generate_tokens(io.StringIO(text).readline):
        if one.type == token.NAME and not STANDARD.fullmatch(one.string + one.line[one.end[1] :][:2]):
            parts = {part.lower() for part in PART.findall(one.string)} & NAMES
            hits += [f"line {one.start[0]}: name {one.string!r} has the word {part!r}" for part in sorted(parts)]
        elif one.type in (token.STRING, tokenize.COMMENT) or token.tok_name[one.type] == "FSTRING_MIDDLE":
            hits += found("\n" * (one.start[0] - 1) + one.string)
    return hits


if __name__ == "__main__":  # python tests/support/phrases.py src/tidegate/cli
    for argument in map(Path, sys.argv[1:]):
        for file in sorted(argument.rglob("*")) if argument.is_dir() else [argument]:
            if file.suffix in (*SUFFIXES, ".md"):
                lines = in_page(file) if file.suffix == ".md" else in_source(file)
                sys.stdout.writelines(f"{file}: {line}\n" for line in lines)
