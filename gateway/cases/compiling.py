"""A case with values becomes a job's specification. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.cases.case import CASE_FILE, Case
from gateway.cases.definition import CaseProgress
from gateway.cases.rendering import CollectingRenderer, Renderer, decode
from gateway.cases.values import text_of
from gateway.errors import FieldError, InvalidRequest
from gateway.model.pointers import parts_of, pointer

FIXED = ("command", "script", "image", "progress", "data", "save_and_stop", "tools")
"""What a request with a case cannot bring along: it is the case that says it."""
_MERGED = ("resources", "sync", "env")
_JOINED = ("inputs", "outputs", "exclude", "binds")


def compile_case(
    case: Case,
    values: Mapping[str, Any],
    image: Mapping[str, Any],
    renderer: Renderer | CollectingRenderer | None = None,
) -> dict[str, Any]:
    """Return the specification of a case with complete values.

    Parameters
    ----------
    renderer
        Another than the case's own.
    image
        Where the image is to be had: a `gateway.model.specification.Image` as JSON.

    Raises
    ------
    RenderError
        A template cannot be filled in with these values.
    """
    definition = case.definition
    filling = _Filling(case, values, renderer or case.renderer)
    found: dict[str, Any] = {
        "name": definition.label,
        "case": case.name,
        "case_version": case.version,
        "values": dict(values),
        "image": dict(image),
        "command": filling.words(definition.command, "command"),
        "env": {name: filling.line(text, "env", name) for name, text in definition.env.items()},
        "inputs": list(filling.inputs()),
        "resources": filling.resources(),
        "exclude": list(definition.exclude),
        "data": [item.model_dump(mode="json") for item in definition.data],
        "tools": [item.model_dump(mode="json", exclude_none=True) for item in definition.tools],
        "binds": list(definition.binds),
        "network": definition.network,
    }
    if definition.outputs is not None:
        found["outputs"] = [item.model_dump(mode="json") for item in definition.outputs]
    if definition.sync is not None:
        found["sync"] = definition.sync.model_dump(mode="json")
    if definition.save_and_stop is not None:
        found["save_and_stop"] = {
            "command": filling.words(definition.save_and_stop.command, "save_and_stop", "command")
        }
    if definition.progress is not None:
        found["progress"] = filling.progress(definition.progress)
    return found


@dataclass(frozen=True)
class _Filling:
    """Fills one set of values into the parts of a case."""

    case: Case
    values: Mapping[str, Any]
    renderer: Renderer | CollectingRenderer

    def line(self, text: str, *place: str | int) -> str:
        return self.renderer.line(text, self.values, CASE_FILE, self.case.line(*place))

    def words(self, words: Iterable[str], *place: str) -> list[str]:
        return [self.line(word, *place, number) for number, word in enumerate(words)]

    def inputs(self) -> Iterable[dict[str, Any]]:
        for item in self.case.definition.inputs:
            if item.parameter is not None:
                source = self.values[item.parameter]
                if source is None:
                    continue
            elif item.template is not None:
                source = {"content": self.renderer.file(item.template, self.values)}
            else:
                assert item.static is not None
                source = {"content": decode(item.static, self.case.files[item.static].content)}
            yield {"path": item.path, "executable": item.executable, **source}

    def resources(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in self.case.definition.resources.items():
            if isinstance(value, str):
                found[name] = self.line(value, "resources", name).strip()
            elif isinstance(value, dict):
                texts = {key: item if isinstance(item, str) else text_of(item) for key, item in value.items()}
                found[name] = {key: self.line(text, "resources", name, key) for key, text in texts.items()}
            else:
                found[name] = value
        return found

    def progress(self, rule: CaseProgress) -> dict[str, Any]:
        found = rule.model_dump(mode="json", exclude_none=True)
        for key in ("min", "max"):
            if isinstance(found[key], str):
                found[key] = self.values[found[key]]
        if rule.command is not None:
            found["command"] = self.words(rule.command, "progress", "command")
        return found


def lay_over(compiled: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a request's own fields over the specification of its case.

    Resources and the rhythm of copies are replaced one by one, variables are added, inputs, outputs, exclusions and
    binds of the request come before the case's own. A network that the case does not have is not to be had.

    Raises
    ------
    InvalidRequest
        The request brings along what only the case can say.
    """
    errors = [
        FieldError(pointer([name]), "comes from the case and cannot be given with it")
        for name in FIXED
        if request.get(name) not in (None, [], ())
    ]
    env = request.get("env")
    if isinstance(env, dict):
        errors += [FieldError(pointer(["env", name]), "is set by the case") for name in env if name in compiled["env"]]
    if errors:
        raise InvalidRequest(errors)
    found = dict(compiled)
    for name, value in request.items():
        if name in FIXED or name in ("case", "case_version", "values"):
            continue
        if name in _MERGED and isinstance(value, dict):
            found[name] = {**compiled.get(name, {}), **value}
        elif name in _JOINED and isinstance(value, list):
            found[name] = [*value, *compiled.get(name, [])]
        elif name == "network":
            found[name] = compiled["network"] and value
        elif name not in _JOINED or value is not None:
            found[name] = value
    return found


def place_errors(
    errors: Iterable[FieldError], request: Mapping[str, Any], compiled: Mapping[str, Any], case: Case
) -> InvalidRequest:
    """Return the problem of a specification that came from a case, in the places of the request.

    What the request does not hold itself is the case's, or a file that was given as a value.
    """
    files = {item.path: item.parameter for item in case.definition.inputs if item.parameter is not None}
    placed = []
    for error in errors:
        parts = parts_of(error.pointer)
        if not parts or parts[0] not in compiled or _holds(request, parts):
            placed.append(error)
        elif (name := _file_parameter(parts, compiled, files)) is not None:
            placed.append(FieldError(pointer(["values", name, *parts[2:]]), error.detail))
        else:
            detail = f"with these values the case gives a wrong {'/'.join(parts)}: {error.detail}"
            placed.append(FieldError("#/case", detail))
    return InvalidRequest(placed)


def _file_parameter(parts: Sequence[str], compiled: Mapping[str, Any], files: Mapping[str, str]) -> str | None:
    """Return the parameter whose value is the input that a pointer is about."""
    if parts[0] != "inputs" or len(parts) < 2 or not parts[1].isdigit() or int(parts[1]) >= len(compiled["inputs"]):
        return None
    return files.get(compiled["inputs"][int(parts[1])]["path"])


def _holds(value: Any, parts: list[str]) -> bool:
    for part in parts:
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return False
    return True
