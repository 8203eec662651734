"""Mistakes in a case, each with its file and line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import ConfigurationError, FieldError


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake that the case's author can mend.

    Attributes
    ----------
    file
        Path inside the case's folder; '' for the folder itself.
    line
        From 1; 0 where the mistake is not in one line.
    """

    file: str
    line: int
    detail: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.detail}" if place else self.detail


class CaseInvalid(ConfigurationError):
    """A case cannot be published as it is. `mistakes` says where and why."""

    problem, title = "case", "The case has mistakes"

    def __init__(self, name: str, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        places = [(f"{item.file}:{item.line}" if item.line else item.file, item.detail) for item in self.mistakes]
        super().__init__(f"the case {name} has mistakes", [FieldError(place, detail) for place, detail in places])
