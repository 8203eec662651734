"""YAML with the line of everything in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from gateway.cases.mistakes import Mistake

Place = tuple[str | int, ...]
"""Where something stands: keys and numbers from the top."""

MAX_NODES = 50_000
"""With each alias counted as often as it is used."""
MAX_DEPTH = 30


@dataclass(frozen=True)
class Document:
    """What a YAML file holds, and where."""

    value: Any
    lines: Mapping[Place, int]

    def line(self, place: Sequence[str | int]) -> int:
        """Return the line of a place, or of the nearest one around it."""
        parts = tuple(place)
        while parts and parts not in self.lines:
            parts = parts[:-1]
        return self.lines.get(parts, 1)


class _Loader(yaml.SafeLoader):
    """YAML's plain types, without dates: they would be turned into something else than what was written."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass
class _Reading:
    file: str
    loader: _Loader
    mistakes: list[Mistake] = field(default_factory=list)
    lines: dict[Place, int] = field(default_factory=dict)
    nodes: int = 0

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.nodes += 1
        line = node.start_mark.line + 1
        self.lines.setdefault(place, line)
        if self.nodes > MAX_NODES or len(place) > MAX_DEPTH:
            raise _TooLarge(line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, number)) for number, item in enumerate(node.value)]
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self.mistakes.append(Mistake(self.file, line, f"{node.value[:100]!r} cannot be read"))
            return None

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.mistakes.append(Mistake(self.file, line, "a key must be a plain word"))
                continue
            key = str(key_node.value)
            if key in found:
                self.mistakes.append(Mistake(self.file, line, f"{key!r} stands twice"))
                continue
            self.lines[*place, key] = line
            found[key] = self.value(value_node, (*place, key))
        return found


class _TooLarge(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def read_document(file: str, content: bytes) -> tuple[Document | None, list[Mistake]]:
    """Read YAML; return what it holds (None where it is no YAML at all) and the mistakes of form."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, [Mistake(file, content.count(b"\n", 0, error.start) + 1, "is not UTF-8")]
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, [Mistake(file, 1, "is empty")]
        reading = _Reading(file, loader)
        value = reading.value(node, ())
        return Document(value, reading.lines), reading.mistakes
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark is not None and mark.index >= len(text.rstrip()):
            mark = error.context_mark or mark  # what was never closed begins there
        said = " ".join(part for part in (error.context, error.problem) if part)
        return None, [Mistake(file, mark.line + 1 if mark else 1, f"is not YAML: {' '.join(said.split())}")]
    except yaml.YAMLError as error:
        return None, [Mistake(file, 1, f"is not YAML: {' '.join(str(error).split())}")]
    except _TooLarge as error:
        return None, [Mistake(file, error.line, "is nested too deeply or has too many parts")]
    except RecursionError:
        return None, [Mistake(file, 1, "is nested too deeply")]
    finally:
        if loader is not None:
            loader.dispose()
