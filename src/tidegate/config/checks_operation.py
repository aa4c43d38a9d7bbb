"""Checks one operation of a source, and that a destination names one.

Owns the rules about keys that exclude each other. Adds to `Problems`. Pure. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.config.lines import Path
from tidegate.config.problems import nearest
from tidegate.config.spec import Config, Source
from tidegate.config.validate import Validator
from tidegate.core.spec import Operation
from tidegate.kinds import kind_of


def check_source_operation(validator: Validator, path: Path, operation: Operation, source: Source) -> None:
    """Check an operation beside its source."""
    from tidegate.rules.outbound.operations import check_operation

    if source.api is None:
        validator.add(path, "an operation needs an API to call", "add [sources.NAME.api]")
    validator.headers((*path, "headers"), operation.headers)
    validator.compiled(path, check_operation, operation, item=path)
    if operation.json is not None and operation.form:
        validator.add((*path, "form"), "the operation has both a json body and a form", "keep one of them")
    if operation.idempotency_header:
        validator.header_name((*path, "idempotency_header"), operation.idempotency_header)
    if operation.resource and operation.resource not in source.resources:
        hint = nearest(operation.resource, source.resources, "resource")
        validator.add((*path, "resource"), f"unknown resource '{operation.resource}'", hint)
    if (operation.prefer is not None) is not (operation.on_conflict == "prefer"):
        validator.add(
            (*path, "prefer"), "'prefer' names the source that wins, and belongs to on_conflict = \"prefer\"",
            'write both: on_conflict = "prefer", prefer = "crm"',
        )  # fmt: skip
    if operation.on_conflict != "last_writer" and not operation.resource:
        hint = 'add resource = "NAME"'
        validator.add((*path, "on_conflict"), "conflicts are noticed for operations that name a resource", hint)
    if operation.look_up is not None and not operation.look_up.result:
        validator.add(
            (*path, "look_up", "result"), "the look-up keeps nothing", 'write result = { id = "results.0.id" }'
        )


def check_preferred_sources(validator: Validator, config: Config) -> None:
    """`prefer` of an operation names a source."""
    for name, source in config.sources.items():
        for operation_name, operation in source.operations.items():
            if operation.prefer is not None and operation.prefer not in config.sources:
                path: Path = ("sources", name, "operations", operation_name, "prefer")
                hint = nearest(operation.prefer, config.sources, "source")
                validator.add(path, f"unknown source '{operation.prefer}'", hint)


def check_operation_references(validator: Validator, config: Config, rejected: Sequence[str]) -> None:
    """Each destination of type operation names an operation of the file."""
    for name, destination in config.destinations.items():
        path: Path = ("destinations", name, "operation")
        source, operation = kind_of(destination).calls(destination)
        if source in rejected or not operation:
            continue  # it calls none, or that is reported at its own path
        if source not in config.sources:
            validator.add(path, f"unknown source '{source}'", nearest(source, config.sources, "source"))
        elif operation not in config.sources[source].operations:
            known = config.sources[source].operations
            hint = nearest(operation, known, "operation") if known else f"add [sources.{source}.operations.{operation}]"
            validator.add(path, f"unknown operation '{operation}' of '{source}'", hint)
