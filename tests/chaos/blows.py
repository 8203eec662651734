"""Which process of which job is killed when: a pure function of a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

SPAN = 6.0
"""Seconds after a payload's begin within which its job is struck: its passes, its end and its final pass."""


class Victim(StrEnum):
    """What is killed on the node."""

    SCRIPT = "the script"
    RCLONE = "rclone"
    SYNCER = "the syncer"
    SESSION = "everything"

    def among(self, processes: dict[int, str]) -> list[int]:
        """Choose from a job's processes, given with their command lines."""
        return [pid for pid, words in processes.items() if self._is(words)]

    def _is(self, words: str) -> bool:
        match self:
            case Victim.SCRIPT:
                return "slurm_script" in words
            case Victim.RCLONE:
                return "/rclone " in words and (" copy " in words or " lsjson " in words)
            case Victim.SYNCER:
                return " syncer" in words and "job.sh" in words
            case Victim.SESSION:
                return True


@dataclass(frozen=True)
class Blow:
    """One kill: of what, and how many seconds after the payload has begun."""

    victim: Victim
    after: float


def blows(seed: int, count: int) -> list[Blow]:
    """Return so many blows; each kind of victim is hit as often as the others, give or take one."""
    dice = random.Random(f"blows {seed}")
    found: list[Blow] = []
    while len(found) < count:
        for victim in dice.sample(list(Victim), len(Victim)):
            found.append(Blow(victim, round(dice.uniform(0.0, SPAN), 2)))
    return found[:count]
