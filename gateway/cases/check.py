"""Finds every mistake in a case's folder before anybody runs it: its form, and what its templates give.

The templates are filled in with the defaults, all minima, all maxima, and with each choice and switch in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.cases.case import CASE_FILE, Case, load_folder
from gateway.cases.compiling import compile_case
from gateway.cases.definition import Definition, Parameter
from gateway.cases.mistakes import CaseInvalid, Mistake
from gateway.cases.rendering import CollectingRenderer
from gateway.cases.values import default_of, in_use
from gateway.errors import FieldError
from gateway.model.pointers import parts_of
from gateway.model.specification import JobSpecification

MAX_VARIANTS = 300
_IMAGE = {"ref": "built:example", "digest": "sha256:" + "0" * 64}

SpecificationCheck = Callable[[JobSpecification], Sequence[FieldError]]
"""What else can be wrong with a specification (its patterns of outputs …)."""


@dataclass(frozen=True)
class Checked:
    """What came of a check; `case` is None where it could not even be read."""

    case: Case | None
    mistakes: tuple[Mistake, ...]
    rendered: int = 0


def check_folder(folder: Path, more: SpecificationCheck | None = None) -> Checked:
    """Check a case's folder."""
    try:
        case = load_folder(folder)
    except CaseInvalid as error:
        return Checked(None, error.mistakes)
    found: dict[tuple[str, int, str], Mistake] = {}
    count = 0
    for label, values in variants(case.definition):
        count += 1
        for mistake in _variant_mistakes(case, values, more):
            detail = mistake.detail if count == 1 else f"{mistake.detail} ({label})"
            named = Mistake(mistake.file, mistake.line, detail)
            found.setdefault((mistake.file, mistake.line, mistake.detail), named)
    return Checked(case, tuple(sorted(found.values())), count)


def _variant_mistakes(case: Case, values: dict[str, Any], more: SpecificationCheck | None) -> Iterator[Mistake]:
    renderer = CollectingRenderer(case.renderer)
    compiled = compile_case(case, values, _IMAGE, renderer)
    if renderer.mistakes:
        yield from renderer.mistakes
        return
    try:
        specification = JobSpecification.model_validate(compiled)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False, include_context=False):
            detail = item["msg"].removeprefix("Value error, ")
            yield _placed(case, list(item["loc"]) or [detail.partition(":")[0]], detail)
        return
    if more is not None:
        for mistake in more(specification):
            yield _placed(case, [int(p) if p.isdigit() else p for p in parts_of(mistake.pointer)], mistake.detail)


def _placed(case: Case, place: Sequence[str | int], detail: str) -> Mistake:
    shown = ".".join(str(part) for part in place)
    stated = detail if detail.startswith(f"{shown}:") else f"{shown}: {detail}"
    return Mistake(CASE_FILE, case.line(*place), stated)


def variants(definition: Definition) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return sets of values that reach into every corner, each with its name."""
    parameters = definition.parameters
    plain = {parameter.name: _ordinary(parameter) for parameter in parameters}
    yield "with the defaults", _settled(definition, plain)
    yield "with the minima", _settled(definition, {p.name: _end(p, first=True) for p in parameters})
    yield "with the maxima", _settled(definition, {p.name: _end(p, first=False) for p in parameters})
    count = 0
    for parameter in parameters:
        for value in _each(parameter):
            count += 1
            if count > MAX_VARIANTS:
                return
            wanted = _enabled(definition, {**plain, parameter.name: value}, parameter)
            yield f"with {parameter.name} {value!r}", _settled(definition, wanted)


def _settled(definition: Definition, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values as a job would have them: what is not in use has its default."""
    used = in_use(definition, values)
    return {
        parameter.name: values[parameter.name] if parameter.name in used else default_of(parameter)
        for parameter in definition.parameters
    }


def _enabled(definition: Definition, values: dict[str, Any], parameter: Parameter) -> dict[str, Any]:
    """Return the values with what a parameter needs to be in use."""
    known = {item.name: item for item in definition.parameters}
    for other, wanted in parameter.enabled_if.items():
        values = {**values, other: wanted[0] if isinstance(wanted, tuple) else wanted}
        values = _enabled(definition, values, known[other])
    return values


def _ordinary(parameter: Parameter) -> Any:
    if parameter.default is not None:
        return default_of(parameter)
    if parameter.type == "file":
        return {"content": "example\n"} if parameter.required else None
    if parameter.type == "text":
        return "example"[: parameter.max_length]
    return _end(parameter, first=True)


def _end(parameter: Parameter, *, first: bool) -> Any:
    """Return the smallest or the largest value."""
    if parameter.type == "bool":
        return not first
    if parameter.type == "choice":
        return parameter.choices[0 if first else -1].value
    if parameter.type in ("text", "file"):
        if parameter.type == "file" and parameter.default is None:
            return None if first and not parameter.required else {"content": "example\n"}
        return _ordinary(parameter)
    limit = parameter.min if first else parameter.max
    if limit is None:
        limit = parameter.default if parameter.default is not None else parameter.min
    if limit is None:
        limit = parameter.max if parameter.max is not None else 1
    if not first and parameter.step is not None and limit == parameter.max:
        base, step = Fraction(repr(parameter.min or 0)), Fraction(repr(parameter.step))
        limit = float(base + (Fraction(repr(limit)) - base) // step * step)
    whole = float(limit).is_integer() and abs(limit) < 2**53
    return int(limit) if whole else limit


def _each(parameter: Parameter) -> tuple[Any, ...]:
    if parameter.type == "bool":
        return (False, True)
    return tuple(choice.value for choice in parameter.choices)
