"""Calls of an operation as its OpenAPI document allows and forbids them, by schemathesis.

Schemathesis takes a second to import and longer to find its cases, so that a test imports this module when it runs, and
no process does so that only collects tests. For the same reason its pytest plugin is not loaded.
"""

from __future__ import annotations

from typing import Any

import hypothesis
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.generation.hypothesis import builder
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

SENT = hypothesis.settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
GENERATED = hypothesis.settings(SENT, max_examples=30, phases=[hypothesis.Phase.generate])
# What schemathesis could not send of an operation.
LEFT_OUT = (
    builder.InvalidHeadersExampleMark,
    builder.InvalidRegexMark,
    builder.MissingPathParameters,
    builder.NonSerializableMark,
    builder.UnsatisfiableExampleMark,
    builder.UnserializablePayloadMark,
)


class Documented:
    """The operations of a document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.schema = schemathesis.openapi.from_dict(document)

    def check(self, operation: tuple[str, str], address: str, key: str, settings: hypothesis.settings = SENT) -> None:
        """Call one operation, a method and a path, many times, and check each answer against the document."""
        method, path = operation

        @settings
        def call(case: schemathesis.Case) -> None:
            case.call_and_validate(
                base_url=address,
                headers={"Authorization": f"Bearer {key}"},
                checks=[
                    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance
                ],
                timeout=20,
            )  # fmt: skip

        config = builder.HypothesisTestConfig(project=self.schema.config, modes=list(builder.HypothesisTestMode))
        calls = builder.create_test(operation=self.schema[path][method], test_func=call, config=config)
        assert [mark.attr_name for mark in LEFT_OUT if mark.is_set(calls)] == []
        calls()
