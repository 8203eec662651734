"""Outputs as a tree, from any listing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.client.flow import Emit, Walk, Work, work
from gateway.client.tree import TreeRow, render, rows
from gateway.model.job import OutputPage

__all__ = ["Listing", "TreeRow", "render", "walk"]

Listing = Callable[[str], OutputPage]
"""Returns the level below a prefix."""


def walk(listing: Listing, prefix: str = "", budget: int | None = 200) -> Iterator[TreeRow]:
    """Yield the rows below a prefix, level by level; `budget` as for `gateway.client.tree.rows`."""
    steps = Walk(rows(lambda level: work(lambda: listing(level)), prefix, budget))
    while isinstance(steps.step, Emit | Work):
        if isinstance(steps.step, Emit):
            yield steps.step.value
            steps.answer(None)
        else:
            steps.answer(steps.step.do())
