"""What a storm of random faults consists of: a pure function of its seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.engine.steps import Step


class Kind(StrEnum):
    """What is done."""

    KILL = "the gateway is killed"
    KILL_AT = "the gateway is killed at a step"
    FREEZE = "the gateway is frozen"
    RESET = "all connections are reset"
    SILENCE = "the network is a black hole"
    REFUSE = "connections are refused"
    SLOW = "the network is slow"
    ODD_SBATCH = "sbatch freezes or lies"
    REQUEUE = "the scheduler runs a job again"
    RESTART = "the scheduler is restarted"
    STORE = "the store refuses"


class Wish(StrEnum):
    """What somebody wants of a job, and so how it has to end."""

    SUCCEED = "succeed"
    FAIL = "fail"
    AGAIN = "fail, then succeed"
    CANCEL = "be cancelled"


WISHES = {Wish.SUCCEED: 14, Wish.FAIL: 2, Wish.AGAIN: 2, Wish.CANCEL: 2}
ODD = ("before freeze", "after freeze", "after error", "after nothing", "after rubbish")
ARRAY = 5
"""Tasks of a sweep."""


@dataclass(frozen=True)
class Strike:
    """One fault: what, for how many seconds, at which step, and a number that chooses among what there is."""

    kind: Kind
    seconds: float
    step: Step
    nth: int
    number: int


@dataclass(frozen=True)
class Order:
    """One job, or a sweep of `ARRAY` alike: what is wanted of it, and how long its payload takes."""

    wish: Wish
    seconds: float
    jobs: int = 1


def strikes(seed: int, count: int, kinds: Sequence[Kind] = tuple(Kind)) -> list[Strike]:
    """Return the faults of a storm, in order."""
    dice = random.Random(f"strikes {seed}")
    found: list[Strike] = []
    while len(found) < count:  # each kind once in a while, in an order of its own each time
        for kind in dice.sample(kinds, len(kinds)):
            seconds, step = round(dice.uniform(0.5, 3.0), 2), dice.choice(list(Step))
            found.append(Strike(kind, seconds, step, dice.choice((1, 1, 1, 2, 3)), dice.randrange(1000)))
    return found[:count]


def orders(seed: int, jobs: int) -> list[Order]:
    """Return what is submitted, in order; together they are so many jobs."""
    dice = random.Random(f"orders {seed}")
    found: list[Order] = []
    left = jobs
    while left:
        (wish,) = dice.choices(list(WISHES), list(WISHES.values()))
        size = ARRAY if left >= ARRAY and wish is Wish.SUCCEED and dice.random() < 0.1 else 1
        found.append(Order(wish, round(dice.uniform(0, 1.5), 2), size))
        left -= size
    return found
