"""Outputs as a tree of folders and files, read level by level, with what is too much left folded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.cli.text import line, number_of, size
from gateway.model.job import OutputFile, OutputFolder, OutputPage

_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)")
Listing = Callable[[str], OutputPage]
"""Returns the level below a prefix."""


@dataclass(frozen=True)
class TreeRow:
    """A line of the tree; `file` is None for a folder."""

    depth: int
    name: str
    bytes: int
    count: int
    file: OutputFile | None


def walk(listing: Listing, prefix: str = "", budget: int | None = 200, depth: int = 0) -> Iterator[TreeRow]:
    """Yield the rows below a prefix.

    Parameters
    ----------
    budget
        Files to show at most, None for all. Folders that hold more than is left stay folded.
    """
    page = listing(prefix)
    left = None if budget is None else budget - len(page.files)
    entries: list[OutputFile | OutputFolder] = [*page.folders, *page.files]
    for entry in sorted(entries, key=_order):
        if isinstance(entry, OutputFile):
            yield TreeRow(depth, _last(entry.path), entry.size, 1, entry)
            continue
        yield TreeRow(depth, f"{_last(entry.prefix)}/", entry.bytes, entry.count, None)
        if left is None or entry.count <= left:
            left = None if left is None else left - entry.count
            yield from walk(listing, entry.prefix, None, depth + 1)


def render(rows: Iterator[TreeRow]) -> Iterator[str]:
    """Yield the tree as lines, with aligned sizes."""
    made = [(f"{'  ' * row.depth}{line(row.name)}", row) for row in rows]
    width = min(max((len(text) for text, _ in made), default=0), 60)
    for text, row in made:
        what = row.file.state if row.file else number_of(row.count, "file")
        yield f"{text:<{width}}  {size(row.bytes):>9}  {what}"


def _order(entry: OutputFile | OutputFolder) -> list[tuple[float, str]]:
    """Sort numbers in names as numbers: times are folders' names."""
    name = _last(entry.path if isinstance(entry, OutputFile) else entry.prefix)
    parts = _NUMBER.split(name)
    return [(float(part), "") if at % 2 else (-1.0, part) for at, part in enumerate(parts)]


def _last(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]
