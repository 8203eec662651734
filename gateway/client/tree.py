"""Outputs as a tree of folders and files, read level by level, with what is too much left folded."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gateway.client.flow import Emit, Flow
from gateway.client.text import line, number_of, size
from gateway.model.job import OutputFile, OutputFolder, OutputPage

_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)")
SHOWN = 200
"""Files that are shown unless all are asked for."""


@dataclass(frozen=True)
class TreeRow:
    """A line of the tree; `file` is None for a folder."""

    depth: int
    name: str
    bytes: int
    count: int
    file: OutputFile | None


@dataclass(frozen=True)
class Tree:
    """A tree as it was listed; prints as one."""

    rows: tuple[TreeRow, ...]

    def __str__(self) -> str:
        """Return the tree as text."""
        return "\n".join(render(self.rows)) or "no outputs"

    __repr__ = __str__

    @property
    def paths(self) -> list[str]:
        """Paths of the files that are shown."""
        return [row.file.path for row in self.rows if row.file]


def rows(
    listing: Callable[[str], Flow[OutputPage]], prefix: str = "", budget: int | None = SHOWN, depth: int = 0
) -> Flow[list[TreeRow]]:
    """Emit and return the rows below a prefix.

    Parameters
    ----------
    listing
        Returns the level below a prefix.
    budget
        Files to show at most, None for all. Folders that hold more than is left stay folded.
    """
    page = yield from listing(prefix)
    left = None if budget is None else budget - len(page.files)
    entries: list[OutputFile | OutputFolder] = [*page.folders, *page.files]
    found: list[TreeRow] = []
    for entry in sorted(entries, key=_order):
        if isinstance(entry, OutputFile):
            row = TreeRow(depth, _last(entry.path), entry.size, 1, entry)
        else:
            row = TreeRow(depth, f"{_last(entry.prefix)}/", entry.bytes, entry.count, None)
        found.append(row)
        yield Emit(row)
        if isinstance(entry, OutputFolder) and (left is None or entry.count <= left):
            left = None if left is None else left - entry.count
            found += yield from rows(listing, entry.prefix, None, depth + 1)
    return found


def render(shown: Iterable[TreeRow]) -> Iterator[str]:
    """Yield the tree as lines, with aligned sizes."""
    made = [(f"{'  ' * row.depth}{line(row.name)}", row) for row in shown]
    width = min(max((len(text) for text, _ in made), default=0), 60)
    for text, row in made:
        what = row.file.state if row.file else number_of(row.count, "file")
        yield f"{text:<{width}}  {size(row.bytes):>9}  {line(what)}"


def _order(entry: OutputFile | OutputFolder) -> list[tuple[float, str]]:
    """Sort numbers in names as numbers: times are folders' names."""
    name = _last(entry.path if isinstance(entry, OutputFile) else entry.prefix)
    parts = _NUMBER.split(name)
    return [(float(part), "") if at % 2 else (-1.0, part) for at, part in enumerate(parts)]


def _last(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


def matches(pattern: str, path: str) -> bool:
    """Say whether a path fits a pattern: ``**`` any depth, none included; ``*``, ``?``, ``[…]`` within a name.

    A pattern that ends with ``/`` means everything below.
    """
    if pattern.endswith("/"):
        pattern += "**"
    # Positions in the path that the pattern so far may have reached: never more than the path has parts.
    parts = path.split("/")
    reached = {0}
    *folders, last = pattern.split("/")
    for word in folders:
        if word == "**":
            reached = set(range(min(reached), len(parts) + 1)) if reached else reached
        else:
            reached = {at + 1 for at in reached if at < len(parts) and fnmatch.fnmatchcase(parts[at], word)}
    if last == "**":  # at the end it is what lies below, not the folder's own name
        return any(at < len(parts) for at in reached)
    return any(at == len(parts) - 1 and fnmatch.fnmatchcase(parts[at], last) for at in reached)


def fixed_part(pattern: str) -> str:
    """Return the folder that everything of a pattern lies in, to list no more than that."""
    folders = pattern.split("/")[:-1]
    fixed = []
    for word in folders:
        if re.search(r"[*?\[]", word):
            break
        fixed.append(f"{word}/")
    return "".join(fixed)
