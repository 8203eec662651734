"""What a rule of retention is about, and what keeps it back. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.errors import FieldError
from gateway.jobs.views import Row
from gateway.model.retention import RESTORE, OwnRule
from gateway.model.states import State
from gateway.settings import Settings
from gateway.storage.patterns import FilterError, Pattern, parse_pattern

LOST_DAYS = 2.0
"""Days that the outputs of a lost job are left alone: it may turn out that it has left records all the same."""
RESERVED = ".gateway/"


@dataclass(frozen=True)
class Candidate:
    """A rule that is due for a job's outputs in a store.

    Attributes
    ----------
    basis
        What tells this rule, as it stands now, from others.
    """

    job: Row
    store: str
    name: str
    rule: OwnRule
    tier: str | None
    basis: str
    blocked: str | None

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """What is left as it is."""
        return tuple(parse_pattern(pattern) for pattern in self.rule.keep)


@dataclass(frozen=True)
class Removals:
    """What retention removed of a job's outputs in a store: works, the latest first, each with what it kept."""

    works: tuple[tuple[Row, tuple[Pattern, ...]], ...]

    def of(self, path: str) -> str | None:
        """Say when, and by which rule, an output was removed; None: it was not."""
        for work, keep in self.works:
            done = work["done_at"] is not None or path <= work["position"]
            if done and not any(pattern.matches(path) for pattern in keep):
                return f"retention removed it on {work['done_at'] or work['created_at']:%Y-%m-%d} (rule {work['rule']})"
        return None


def check_patterns(keep: Sequence[str], place: str) -> list[FieldError]:
    """Return what is wrong with patterns."""
    found = []
    for number, pattern in enumerate(keep):
        try:
            parse_pattern(pattern)
        except FilterError as error:
            found.append(FieldError(f"{place}{number}", str(error)))
    return found


def check_rules(settings: Settings) -> list[FieldError]:
    """Return what is wrong with the configuration's rules: patterns, and names that are not there."""
    found = []
    for number, rule in enumerate(settings.retention.rules):
        place = f"retention.rules.{number}."
        found += check_patterns(rule.keep, f"{place}keep.")
        for what, names, known in (
            ("store", rule.stores, settings.stores),
            ("target", rule.targets, settings.targets),
        ):
            found += [FieldError(f"{place}{what}s", f"there is no {what} named {n!r}") for n in names if n not in known]
    return found


def wanted(row: Row, patterns: Sequence[Pattern], action: str, tier: str | None) -> bool:
    """Say whether a rule is about an output, or whether it is one that somebody wants back."""
    path = row["path"]
    if path.startswith(RESERVED):
        return False
    if action == RESTORE:
        asked = not patterns or any(pattern.matches(path) for pattern in patterns)
        return asked and row["tier"] is not None and row["going"] in (None, RESTORE)
    if action == "archive" and row["tier"] == tier:
        return False
    return not any(pattern.matches(path) for pattern in patterns)


def due_at(state: str, ended_at: datetime, rule: OwnRule) -> datetime:
    """Return from when on a rule may be carried out for an ended job."""
    days = max(rule.after_days, LOST_DAYS) if state == State.LOST else rule.after_days
    return ended_at + timedelta(days=days)


def kept_back(holds: Sequence[Row], reader: str | None, stores: Sequence[Row]) -> str | None:
    """Say what keeps a job's outputs in some of its stores as they are; None: nothing does."""
    if holds:
        return f"held by {holds[0]['by']}" + (f": {holds[0]['why']}" if holds[0]["why"] else "")
    if reader is not None:
        return f"job {reader} may read these outputs yet"
    if any(store["rescue_at"] is not None for store in stores):
        return "the gateway still brings what is missing"
    return None


def basis_of(name: str, rule: OwnRule, tier: str | None) -> str:
    """Return what tells a rule, as it stands now, from others."""
    text = json.dumps([name, rule.action, sorted(rule.keep), tier])
    return hashlib.sha256(text.encode()).hexdigest()
