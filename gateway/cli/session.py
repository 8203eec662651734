"""What every command shares: the options before it, the gateway it talks to, and how it answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from gateway.cli.text import line
from gateway.client import Gateway
from gateway.settings import Settings, load

WIDE = 240
"""Columns where no terminal says how many there are: nothing is cut off for a program that reads."""


@dataclass(frozen=True)
class Session:
    """The options that every command takes."""

    config: Path | None = None
    json: bool = False
    debug: bool = False

    def settings(self) -> Settings:
        """Read the configuration; `ConfigurationError` where it is wrong."""
        return load(self.config)

    def gateway(self) -> Gateway:
        """Return the running gateway; `GatewayNotRunning` where there is none."""
        return Gateway(data=self.settings().gateway.data_folder)

    def answer(self, value: object) -> None:
        """Print a value as JSON: models, lists and mappings of them."""
        # ASCII only, so that no value can steer a terminal.
        print(json.dumps(_plain_value(value), indent=2 if sys.stdout.isatty() else None))

    def line(self, value: object) -> None:
        """Print a value as one line of JSON, at once: for streams."""
        print(json.dumps(_plain_value(value)), flush=True)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table without lines; cells are made harmless."""
        made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for head in heads:
            made.add_column(head, overflow="fold", no_wrap=head in ("ID", "STATE"))
        for row in rows:
            made.add_row(*(line(cell) for cell in row))
        console().print(made)


def console() -> Console:
    """Return a console that takes text as it is."""
    width = None if sys.stdout.isatty() else WIDE
    return Console(markup=False, highlight=False, emoji=False, width=width)


def session_of(context: typer.Context) -> Session:
    """Return the options that stand before the command."""
    found = context.find_object(Session)
    return found or Session()


def note(text: str) -> None:
    """Say something to the person, beside the answer."""
    print(text, file=sys.stderr, flush=True)


def _plain_value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: _plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return value
