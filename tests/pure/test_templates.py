"""Templates: what they may contain, and that payloads cannot act through them."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import ConfigError
from tidegate.rules.language import templates
from tidegate.rules.language.templates import MAX_OUTPUT, RenderFailed


def compile_template(template, **options):
    render = templates.compile_template(template, **options)
    return lambda view: render(view).text


VIEW = {
    "type": "charge.succeeded",
    "source": "payments",
    "origin": "webhook",
    "key": None,
    "data": {
        "name": "<!channel> & <https://evil|click>",
        "amount": 4950,
        "items": ["a", "b"],
        "paid": True,
        "keys": "mine",
        "nested": {"x": "<b>"},
        "__class__": "field",
    },
    "headers": {"x-topic": "t"},
    "change": None,
}


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("plain <!here> & text", "plain <!here> & text"),
        ("{{ data.name }}", "&lt;!channel&gt; &amp; &lt;https://evil|click&gt;"),
        ("<!here> {{ data.name | upper }}", "<!here> &lt;!CHANNEL&gt; &amp; &lt;HTTPS://EVIL|CLICK&gt;"),
        ("{{ '<' ~ data.amount ~ data.name | first }}", "&lt;4950&lt;"),
        ("{{ data.nested }}", '{"x":"&lt;b&gt;"}'),
        ("{{ data.nested | json }}", '{"x":"&lt;b&gt;"}'),
        ("{{ data.amount / 100 }}", "49.5"),
        ("{{ data.amount / 10 }}", "495"),
        ("{{ (data.amount / 1000) | round(1) }}", "5"),
        ("{{ data.paid }}", "true"),
        ("{{ key }}{{ change }}{{ data.nope.deeper.still }}", ""),
        ("{{ key | default('none', true) }}/{{ data.nope | default(data.amount) }}", "none/4950"),
        (
            "{{ data.items | join(', ') }} {{ data.items | length }} {{ data.items[1] }} {{ data.items.0 }}",
            "a, b 2 b a",
        ),
        ("{{ data['amount'] }} {{ headers['x-topic'] }}", "4950 t"),
        (
            "{{ data.keys }} {{ data.values }} {{ data.__class__ }} {{ type.__class__ }} {{ type.upper }}",
            "mine  field  ",
        ),
        ("{% if data.amount >= 1000 and not change %}big{% elif data.paid %}paid{% else %}small{% endif %}", "big"),
        ("{{ 'yes' if data.nope is defined else 'no' }}{{ data.nope == 1 }}", "nofalse"),
        ("{{ 'a' in data['items'] }}", "true"),
        ("{{ data.name | truncate(9) }}", "&lt;!chan..."),
        ("{% raw %}{{ data }}{% endraw %}{# note #}", "{{ data }}"),
        ("two\nlines\n", "two\nlines\n"),
    ],
)
def test_a_template_looks_up_and_escapes(template, wanted):
    assert compile_template(template)(VIEW) == wanted


@pytest.mark.parametrize(
    "bad",
    [
        "{% for x in data %}{% endfor %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% set x = 1 %}",
        "{% block b %}{% endblock %}",
        "{% filter upper %}x{% endfilter %}",
        "{% with %}{% endwith %}",
        "{{ data.get('x') }}",
        "{{ range(10) }}",
        "{{ lipsum }}",
        "{{ self }}",
        "{{ customer }}",
        "{{ data.a * 1000 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ data.fmt % 5 }}",
        "{{ data.a / data.b }}",
        "{{ data.a / 0 }}",
        "{{ data.a / 'x' }}",
        "{{ data[key] }}",
        "{{ data[1:2] }}",
        "{{ [1, 2] }}",
        "{{ {'a': 1} }}",
        "{{ data | map('x') }}",
        "{{ data | replace('a', 'b') }}",
        "{{ data | center(100000000) }}",
        "{{ data | attr('x') }}",
        "{{ data.name | safe }}",
        "{{ data.name | truncate(data.amount) }}",
        "{{ data.items | join(*data) }}",
        "{{ data is callable }}",
        "{{ data. }}",
        "{% if data %}",
        "{{ data",
        "x" * 10_001,
        "{{ " + "(" * 3000 + "data" + ")" * 3000 + " }}",
        "{{ " + "not " * 2000 + "data }}",
        "{{ data.name | title }}" * 101,
        "{{ data.name" + " | title" * 101 + " }}",
        "{{ (" + " ~ ".join(["data.name"] * 101) + ") | length }}",
    ],
)
def test_everything_else_is_refused_at_load(bad):
    with pytest.raises(ConfigError) as caught:
        compile_template(bad)
    assert caught.value.path == "$.text"


def test_the_nearest_name_is_in_the_error():
    with pytest.raises(ConfigError) as caught:
        compile_template("{{ dta.x }}")
    assert "'data'" in caught.value.hint


@pytest.mark.parametrize("template", ["{{ data.name / 100 }}", "{{ data.nested > 5 }}", "{{ data.name | round }}"])
def test_an_operation_that_does_not_fit_the_value_fails_by_name(template):
    with pytest.raises(RenderFailed):
        compile_template(template)(VIEW)


@pytest.mark.parametrize(
    "template",
    ["{{ data }}", "x{{ data }}", "{{ data }}{{ data }}", "{{ data | join('') }}" * 3, "x" * 9000 + "{{ data }}"],
)
@pytest.mark.parametrize("data", ["<" * 3_000_000, "&" * 1001, ["a" * 10_000] * 10])
def test_output_is_bounded_and_no_entity_is_cut(template, data):
    text, cut = templates.compile_template(template)({**VIEW, "data": data})
    assert len(text) <= MAX_OUTPUT
    assert cut == text.endswith("…")
    if "<" in data:
        assert text.replace("&lt;", "").replace("…", "") in ("", "x") or template.startswith("xx")


@pytest.mark.parametrize("name", ["capitalize", "float", "int", "lower", "title", "trim", "truncate", "upper"])
def test_a_filter_works_on_the_beginning_of_a_long_text(name):
    text = compile_template(
        f"{{{{ data | {name} | length }}}}" if name not in ("int", "float") else f"{{{{ data | {name} }}}}"
    )
    began = time.perf_counter()
    out = text({**VIEW, "data": "1 x" * 1_000_000})
    assert time.perf_counter() - began < 0.3  # title took 0.5 s for a megabyte
    assert out in (str(MAX_OUTPUT + 1), str(MAX_OUTPUT), "253", "0")  # trim takes a blank off the end
    assert compile_template("{{ data | title }}, {{ data | length }}")({**VIEW, "data": "ada b"}) == "Ada B, 5"


@given(st.text() | st.recursive(st.text() | st.integers() | st.floats(), st.lists))
def test_no_value_of_an_event_can_mention_or_link(value):
    view = {**VIEW, "data": value, "key": "<!channel>"}
    text = compile_template("{{ data }}{{ data | default('') }}{% if data %}{{ data }}{% endif %}{{ key }}")(view)
    assert "<" not in text
    assert ">" not in text
    assert len(text) <= MAX_OUTPUT


def test_importing_the_module_does_not_load_jinja():
    code = "import sys; import tidegate.rules.language.templates; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_calculation_with_a_field_that_is_missing_names_the_field_and_the_way_out():
    with pytest.raises(RenderFailed, match=r"'amount' is missing.*amount \| default\(0\)") as refused:
        compile_template("{{ data.object.amount / 100 }}")({"data": None})
    assert "jinja" not in refused.value.message
    assert compile_template("{{ (data.object.amount | default(0)) / 100 }}")({"data": None}) == "0"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ data.text / 100 }}", "an operation does not fit the type of a value"),
        ("{{ data.who / 100 }}", "'who' is null, so it cannot be used in a calculation; write who | default(0)"),
        ("{{ data.absent / 100 }}", "'absent' is missing, so it cannot be used in a calculation"),
    ],
)
def test_a_calculation_that_cannot_be_done_says_why_without_names_of_the_language(template: str, reason: str) -> None:
    with pytest.raises(RenderFailed) as raised:
        compile_template(template)({"data": {"text": "abc", "who": None}})
    assert reason in raised.value.message and "Error" not in raised.value.message


@pytest.mark.parametrize("absent", [{"data": {"who": None, "list": [None]}}, {"data": {"list": []}}, {"data": None}])
@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{ data.who }}", ""),
        ("{{ data.who ~ '!' }}", "!"),
        *(
            (f"{{{{ data.who | {name} }}}}", "")
            for name in ("upper", "lower", "title", "trim", "capitalize", "truncate")
        ),
        ("{{ data.who | default('somebody') }}", "somebody"),
        ("{{ data.who.name | default('nobody') }}", "nobody"),
        ("{{ data.list | join(',') }}", ""),
        ("{{ (data.list | first) ~ '.' }}{{ (data.list | last) ~ '.' }}", ".."),
        ("{{ data.who | length }}", "0"),
        ("{{ data.who | round(2) }}", ""),
        ("{{ data.who | round | default('none') }}", "none"),
        ("{{ data.who | int }}{{ data.who | float }}", "00"),
        ("{% if data.who %}yes{% else %}no{% endif %}", "no"),
        ("{{ key ~ '?' }}", "?"),
    ],
)
def test_a_null_and_a_missing_field_print_nothing_and_take_a_default(absent, template, wanted):
    assert compile_template(template)({"key": None, **absent}) == wanted


def test_a_null_is_none_and_defined_and_a_missing_field_is_neither():
    template = (
        "{{ data.a is none }} {{ data.a is defined }} {{ data.a == none }} {{ data.b is none }} {{ data.b is defined }}"
    )
    assert compile_template(template)({"data": {"a": None}}) == "true true true false false"
    assert compile_template("{{ data.a | json }}/{{ data.b | json }}")({"data": {"a": None}}) == "null/"
    assert compile_template("{{ data.a | int }} {{ data.a | float }}")({"data": {"a": None}}) == "0 0"


def test_a_calculation_with_null_names_it():
    with pytest.raises(RenderFailed, match="'a' is null"):
        compile_template("{{ data.a / 100 }}")({"data": {"a": None}})
