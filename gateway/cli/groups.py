"""A group of commands whose most usual one needs no name: ``gateway jobs`` is ``gateway jobs list``."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

HELP = ("-h", "--help")


def group_with_default(default: str, text: str, *, alone: bool) -> typer.Typer:
    """Return a group; words that name none of its commands go to the command `default`.

    Parameters
    ----------
    alone
        Whether that command also runs without any words.
    """

    class Group(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            named = bool(args) and (args[0] in self.commands or args[0] in HELP)
            return super().parse_args(ctx, args if named or not (args or alone) else [default, *args])

    return typer.Typer(cls=Group, help=text)
