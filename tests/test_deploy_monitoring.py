"""The Prometheus rules and the Grafana dashboard use metrics and labels that `/metrics` really has.

Prometheus' own `promtool` reads the rules and runs their unit tests where it is installed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.gateway.api import served
from tidegate.api.metrics import METRICS
from tidegate.cli import COMMANDS

ROOT = Path(__file__).parent.parent
RULES = ROOT / "deploy" / "prometheus-rules.yaml"
DASHBOARD = ROOT / "deploy" / "grafana-dashboard.json"
ADDED = {"instance", "job"}  # labels that Prometheus adds
LABELS = {f"{name}_total" if kind == "counter" else name: set(labels) for name, (kind, labels, _) in METRICS.items()}
SELECTOR = re.compile(r"\b(tidegate_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("name", "expression"), list(expressions()))
def test_an_expression_uses_metrics_and_labels_that_exist(name: str, expression: str) -> None:
    used = SELECTOR.findall(expression)
    assert used or "up{" in expression
    known = set(ADDED)
    for metric, selector in used:
        assert metric in LABELS, f"{name}: /metrics has no {metric}"
        known |= LABELS[metric]
        asked = set(re.findall(r"(\w+)\s*[=!]", selector))
        assert asked <= LABELS[metric] | ADDED, f"{name}: {metric} has no label {asked - LABELS[metric]}"
    for group in GROUPING.findall(expression):
        assert {one.strip() for one in group.split(",")} <= known, name


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: str(panel["title"]))
def test_the_legend_of_a_panel_names_labels_of_its_metric(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        labels = set().union(*(LABELS[metric] for metric, _ in SELECTOR.findall(target["expr"])))
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels | ADDED


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_a_rule_says_what_happened_and_what_to_do(rule: dict[str, Any]) -> None:
    labels = set().union(*(LABELS[metric] for metric, _ in SELECTOR.findall(rule["expr"])))
    for text in rule["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= labels | ADDED
    step = rule["annotations"]["next_step"]
    if step.startswith("tidegate "):
        assert step.split()[1] in COMMANDS
    assert rule["labels"]["severity"] in ("warning", "critical")


async def test_the_gateway_answers_every_metric_that_the_files_use(tmp_path: Path) -> None:
    toml = (
        '[sources.shop.api]\nbase_url = "http://127.0.0.1:9"\n[sources.shop.resources.orders]\npath = "/orders"\n'
        '[sources.app.publish]\n[destinations.crm]\nurl = "http://127.0.0.1:9/"\n[routes.a]\nfrom = "app"\nto = "crm"\n'
    )
    async with served(tmp_path, toml) as gate:
        text = (await gate.api("GET", "/metrics")).body.decode()
    answered = {line.partition("{")[0].partition(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    used = {metric for _, expression in expressions() for metric, _ in SELECTOR.findall(expression)}
    # A delay is known after the first change only.
    assert used - answered == {"tidegate_resource_staleness_p99_seconds"}


def test_promtool_accepts_the_rules_and_their_unit_tests() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; on Debian it is in the package prometheus")
    for words in (["check", "rules", str(RULES)], ["test", "rules", "prometheus-rules.test.yaml"]):
        done = subprocess.run(
            [promtool, *words], cwd=ROOT / "tests" / "data", capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
