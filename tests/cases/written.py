"""Cases that tests write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gateway.cases.case import Case, load_case
from gateway.cases.definition import Definition, Parameter
from gateway.cases.folder import CaseFile

IMAGE = {"ref": "built:tank", "digest": "sha256:" + "1" * 64}

TANK: dict[str, Any] = {
    "name": "tank",
    "label": "Stirred tank",
    "description": "Mixes.",
    "families": [
        {
            "label": "Flow",
            "parameters": [
                {"name": "speed", "label": "Speed", "type": "float", "default": 0.5, "min": 0, "max": 2, "step": 0.1},
                {"name": "cells", "label": "Cells", "type": "int", "default": 8, "min": 2, "max": 64},
                {"name": "model", "label": "Model", "type": "choice", "default": "k", "choices": ["k", "w", 3]},
                {"name": "heated", "label": "Heated", "type": "bool", "default": False},
                {"name": "heat", "label": "Heat", "type": "float", "min": 1, "max": 9, "enabled_if": {"heated": True}},
                {"name": "title", "label": "Title", "type": "text", "default": "plain", "multiline": True},
                {"name": "mesh", "label": "Mesh", "type": "file", "default": None},
            ],
        }
    ],
    "inputs": [
        {"path": "in/settings", "template": "settings"},
        {"path": "run.sh", "static": "run.sh", "executable": True},
        {"path": "mesh.bin", "parameter": "mesh"},
    ],
    "image": {"ref": "https://images.example.org/tank.sif", "digest": "sha256:" + "2" * 64},
    "command": ["tank", "--speed={speed}", "{title}"],
    "env": {"CELLS": "{cells}"},
    "resources": {"cpus": "{cells}", "memory": "256M", "walltime": "00:10:00"},
    "outputs": [{"source": "out/**"}],
    "progress": {"file": "log", "pattern": "^step ([0-9]+)$", "min": 0, "max": "cells"},
    "data": [{"name": "power", "file": "out/power.csv", "x": "t", "columns": [{"name": "t"}, {"name": "p"}]}],
    "save_and_stop": {"command": ["touch", "stop-{cells}"]},
}
FILES = {"settings": "speed {speed}\nheat {heat}\n{title}\n", "run.sh": "echo {not_a_value}\n"}


def document(**changes: Any) -> dict[str, Any]:
    """The tank, changed; what is None is left out."""
    return {key: value for key, value in {**TANK, **changes}.items() if value is not None}


def files_of(texts: Mapping[str, str] = FILES, **changes: Any) -> dict[str, CaseFile]:
    """The files of the tank."""
    written = {"case.yaml": yaml.safe_dump(document(**changes), sort_keys=False, allow_unicode=True), **texts}
    return {path: CaseFile(text.encode()) for path, text in written.items()}


def tank(texts: Mapping[str, str] = FILES, **changes: Any) -> Case:
    """The tank, read."""
    return load_case("tank", files_of(texts, **changes))


def write_tank(parent: Path, texts: Mapping[str, str] = FILES, **changes: Any) -> Path:
    """The tank's folder below `parent`."""
    folder = parent / str(changes.get("name", "tank"))
    for path, file in files_of(texts, **changes).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(file.content)
    return folder


def parameter(**keys: Any) -> Parameter:
    """One parameter."""
    return Parameter.model_validate({"name": "x", "label": "X", "type": "float", **keys})


def definition(*parameters: Mapping[str, Any]) -> Definition:
    """A case with these parameters."""
    named = [{"label": str(item["name"]), **item} for item in parameters]
    return Definition.model_validate(document(families=[{"label": "All", "parameters": named}]))
