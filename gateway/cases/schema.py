"""The values of a case as JSON Schema (a subset of draft-07), for forms. Pure.

The server checks with `gateway.cases.values`; the schema never refuses what the server accepts. What draft-07 cannot
say, or says about binary fractions (`step`), stands under ``x-…``.
"""

from __future__ import annotations

from typing import Any

from gateway.cases.definition import Definition, Family, Parameter
from gateway.cases.values import several

DRAFT = "http://json-schema.org/draft-07/schema#"
_TYPES = {"float": "number", "int": "integer", "bool": "boolean", "text": "string"}


def json_schema(definition: Definition) -> dict[str, Any]:
    """Return the schema of an object of values."""
    properties: dict[str, Any] = {}
    for family_number, family in enumerate(definition.families):
        for parameter in family.parameters:
            order = len(properties)
            properties[parameter.name] = {**_property(parameter), "x-family": family_number, "x-order": order}
    required = [p.name for p in definition.parameters if p.required and not p.enabled_if]
    return {
        "$schema": DRAFT,
        "title": definition.label,
        "description": definition.description,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        "x-families": [_family(family) for family in definition.families],
    }


def _family(family: Family) -> dict[str, Any]:
    return {
        "label": family.label,
        "collapse": family.collapse,
        "parameters": [parameter.name for parameter in family.parameters],
    }


def _property(parameter: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {"title": parameter.label}
    if parameter.help:
        found["description"] = parameter.help
    if parameter.type in _TYPES:
        found["type"] = _TYPES[parameter.type]
    if parameter.type == "choice":
        found["enum"] = [choice.value for choice in parameter.choices]
        found["x-labels"] = [choice.label or _shown(choice.value) for choice in parameter.choices]
    if parameter.type == "file":
        found["type"] = "object" if parameter.required else ["object", "null"]
        found["x-file"] = True
    if parameter.default is not None:
        found["default"] = parameter.default
    for key, word in (("min", "minimum"), ("max", "maximum")):
        if getattr(parameter, key) is not None:
            found[word] = getattr(parameter, key)
    if parameter.type == "text":
        found["maxLength"] = parameter.max_length
        found["x-multiline"] = parameter.multiline
        if parameter.pattern is not None:
            # Python's dialect, matched with the whole text: no `pattern`, which is another one's.
            found["x-pattern"] = parameter.pattern
    for key in ("unit", "step"):
        if getattr(parameter, key) is not None:
            found[f"x-{key}"] = getattr(parameter, key)
    if parameter.enabled_if:
        found["x-enabled-if"] = {name: list(several(wanted)) for name, wanted in parameter.enabled_if.items()}
    return found


def _shown(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
