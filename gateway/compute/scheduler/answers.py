"""What the answers of all schedulers have in common. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

NO_ANSWER = re.compile(
    r"cannot connect|could ?n.t connect|connection (refused|reset|timed out|closed)|unable to contact|"
    r"timed out|end of file|zero bytes|temporarily|try again|communication (error|failure)|no route to host|"
    r"not reachable|shutting down|not (currently )?responding|server is down|unable to establish|fetch.config|"
    r"configuration source|munge|protocol (authentication |version )?error|problem loading|pbs_iff|"
    r"transport endpoint",
    re.IGNORECASE,
)
"""Words of a scheduler that could not be asked, so nobody knows whether it did anything."""


class Unreadable(ValueError):
    """What a scheduler says about a job makes no sense; the message tells which part."""


def short(text: str, limit: int = 500) -> str:
    """Return a program's words on one line, at most `limit` characters."""
    line = "; ".join(part.strip() for part in text.split("\n") if part.strip())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def by_name(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Group ids by name, oldest (lowest number) first; names without a job are left out."""
    found: dict[str, list[str]] = {}
    for name, scheduler_id in pairs:
        if name in names and scheduler_id not in found.setdefault(name, []):
            found[name].append(scheduler_id)
    return {name: tuple(sorted(ids, key=_age)) for name, ids in found.items()}


def _age(scheduler_id: str) -> int:
    digits = re.match(r"\d+", scheduler_id)
    return int(digits[0]) if digits else 0
