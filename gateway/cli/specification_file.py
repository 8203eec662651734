"""Reading a specification from a file: JSON, TOML or YAML."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

from gateway.cli.exits import UsageMistake

MAX_BYTES = 16 * 1024 * 1024


def read_specification(name: str) -> dict[str, Any]:
    """Return the specification in a file, or on standard input for ``-``.

    The name's ending says what it is: ``.toml``, ``.yaml`` or ``.yml``; anything else is JSON.

    Raises
    ------
    UsageMistake
        It cannot be read, or is no mapping.
    """
    path = Path(name)
    place = "standard input" if name == "-" else name
    try:
        content = sys.stdin.buffer.read(MAX_BYTES + 1) if name == "-" else path.read_bytes()
        text = content.decode("utf-8")
    except OSError as error:
        raise UsageMistake(f"{place} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageMistake(f"{place} is not UTF-8 text") from None
    if len(content) > MAX_BYTES:
        raise UsageMistake(f"{place} is larger than {MAX_BYTES} bytes")
    found = _parse(text, path.suffix.lower(), place)
    if not isinstance(found, dict):
        raise UsageMistake(f"{place} holds no specification: it must be one object")
    return found


def _parse(text: str, suffix: str, place: str) -> Any:
    try:
        if suffix == ".toml":
            return tomllib.loads(text)
        if suffix in (".yaml", ".yml"):
            return yaml.safe_load(text)
        return json.loads(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        kind = {".toml": "TOML", ".yaml": "YAML", ".yml": "YAML"}.get(suffix, "JSON")
        raise UsageMistake(f"{place} is not valid {kind}: {' '.join(str(error).split())}") from None
