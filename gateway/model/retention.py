"""How long outputs are kept: rules, what they would do, and what they have done."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from gateway.model.base import Line, Model, Name, Time
from gateway.model.job import Answer
from gateway.model.states import ENDED

Action = Literal["delete", "archive"]
Deed = Literal["delete", "archive", "restore"]
Days = Annotated[float, Field(ge=0, le=36500)]
Pattern = Annotated[Line, StringConstraints(min_length=1, max_length=1024)]
Tier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{1,31}$")]
Why = Annotated[Line, StringConstraints(max_length=500)]


class OwnRule(Model):
    """What the owner of a job asks for its outputs: `PUT /jobs/{id}/retention`."""

    after_days: Days = Field(description="Days after the job's end.")
    action: Action = "delete"
    keep: Annotated[tuple[Pattern, ...], Field(max_length=100)] = Field(
        default=(), description="Outputs that match one of these patterns are left as they are."
    )
    tier: Tier | None = Field(default=None, description="Where to archive to; the store's own choice by default.")

    @model_validator(mode="after")
    def _tier_of_archive(self) -> OwnRule:
        if self.tier is not None and self.action != "archive":
            raise ValueError('a tier belongs to action = "archive"')
        return self


class RetentionRule(OwnRule):
    """A rule of the configuration. An empty list of names means all."""

    name: Name
    stores: tuple[Name, ...] = ()
    targets: tuple[Name, ...] = ()
    cases: tuple[Line, ...] = ()
    owners: tuple[Line, ...] = ()
    states: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _ended_states(self) -> RetentionRule:
        known = sorted(str(state) for state in ENDED)
        if wrong := set(self.states) - set(known):
            raise ValueError(f"{min(wrong)!r} is not one of the states {', '.join(known)}")
        return self


class RetentionSettings(Model):
    """Section ``[retention]``.

    Attributes
    ----------
    automatic
        Whether the rules are carried out once a day; else only when an administrator asks.
    owners
        Whether people may set a rule for their own jobs.
    """

    automatic: bool = False
    owners: bool = False
    rules: tuple[RetentionRule, ...] = ()

    @model_validator(mode="after")
    def _names_once(self) -> RetentionSettings:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("two rules have the same name")
        if OWN in names:
            raise ValueError(f"{OWN!r} is the name of what owners ask for")
        return self


CLOSED_TIERS = frozenset({"archive", "glacier", "deep_archive"})
"""Tiers, in small letters, whose objects cannot be read before they were brought back."""


def is_closed(tier: str | None) -> bool:
    """Say whether what is in a tier must be brought back before it can be read."""
    return tier is not None and tier.lower() in CLOSED_TIERS


RESTORE = "restore"
"""What is done with outputs that are brought back, and the rule that it stands under."""
OWN = "own"
"""Name of the rule that a job's owner set."""


class RetentionItem(Answer):
    """What a rule would do with a job's outputs in one store.

    Attributes
    ----------
    rule
        Its name; ``own`` where the job's owner asked for it.
    count, bytes
        Outputs that it is about.
    blocked
        Why it is not carried out now; null: it would be.
    """

    job_id: str
    job_name: str
    owner: str
    ended_at: Time
    store: str
    rule: str
    action: Action
    tier: str | None = None
    count: int
    bytes: int
    blocked: str | None = None


class RetentionPlan(Answer):
    """A page of what the rules would do now. `count` and `bytes` are those of the page that nothing blocks."""

    items: list[RetentionItem]
    count: int = 0
    bytes: int = 0
    next_cursor: str | None = None


class RunRequest(Model):
    """`POST /retention/run`."""

    rules: Annotated[tuple[Name, ...], Field(max_length=1000)] = Field(
        default=(), description="Only these; all by default."
    )
    jobs: Annotated[tuple[str, ...], Field(max_length=1000)] = Field(
        default=(), description="Only these; all by default."
    )


class RetentionWork(Answer):
    """What was begun, or is done, for one job in one store.

    Attributes
    ----------
    action
        ``restore``: archived outputs are brought back because somebody asked; it is done when the store has them back.
    tier
        Where outputs are archived to; of a restore how urgent it is, ``high`` or ``standard``.
    keep
        Patterns of what is left as it is; of a restore, of what is brought back (none: all).
    by
        Who asked; ``automatic`` where the gateway did so by itself.
    problem
        Why it does not go on.
    """

    id: str
    job_id: str
    store: str
    rule: str
    action: Deed
    tier: str | None = None
    keep: list[str] = Field(default_factory=list)
    by: str
    created_at: Time
    done_at: Time | None = None
    count: int
    bytes: int
    problem: str | None = None


class WorkPage(Answer):
    """Works, newest first."""

    items: list[RetentionWork]
    next_cursor: str | None = None


class Begun(Answer):
    """How many works were begun: they are carried out beside. `blocked` are those that something keeps back."""

    works: int
    blocked: int


class HoldRequest(Model):
    """`POST /jobs/{id}/retention/hold`."""

    why: Why | None = None


class RestoreRequest(Model):
    """`POST /jobs/{id}/retention/restore`."""

    store: Name | None = Field(default=None, description="The job's first store by default.")
    patterns: Annotated[tuple[Pattern, ...], Field(max_length=100)] = Field(
        default=(), description="Outputs that match one of these; all that are archived by default."
    )
    urgent: bool = Field(default=False, description="Within an hour or so, where the store offers that; it costs more.")


class Hold(Answer):
    """Nothing of the job's outputs is deleted or archived while it stands.

    Attributes
    ----------
    kind
        ``owner``, or ``admin``: only an administrator takes that one away.
    """

    kind: Literal["owner", "admin"]
    by: str
    at: Time
    why: str | None = None


class Coming(Answer):
    """What a rule will do with a job's outputs in one store.

    Attributes
    ----------
    at
        From when on the rule is due.
    blocked
        What keeps it back now; null: nothing does.
    """

    store: str
    rule: str
    action: Action
    tier: str | None = None
    keep: list[str] = Field(default_factory=list)
    at: Time
    blocked: str | None = None


class JobRetention(Answer):
    """What holds for the outputs of one job.

    Attributes
    ----------
    coming
        What the rules will do, the next first; empty until the job has ended.
    automatic
        Whether that is done once a day; else an administrator begins it.
    owners
        Whether the owner may set a rule.
    going
        Outputs that are being deleted or archived at this moment: decided before a hold, they still go.
    archived, restoring
        Outputs that cannot be read before they were brought back; those of them that the store is bringing back.
    folder
        The job's folder on its target: ``there``, ``going`` or ``removed``.
    """

    holds: list[Hold]
    own: OwnRule | None = None
    works: list[RetentionWork]
    coming: list[Coming] = Field(default_factory=list)
    automatic: bool = False
    owners: bool = False
    going: int = 0
    archived: int = 0
    restoring: int = 0
    folder: Literal["there", "going", "removed"] = "there"
