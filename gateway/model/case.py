"""Cases as they stand on the wire: what a person can set, and what comes of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from gateway.model.base import Model, Time
from gateway.model.job import Answer
from gateway.model.specification import ValueName


class CaseImage(Answer):
    """The image of a case: ``remote`` is fetched from elsewhere, the others are built here from a recipe."""

    state: Literal["built", "not_built", "building", "remote"]
    digest: str | None = None
    message: str | None = None


class CaseSummary(Answer):
    """A case. `version` is the digest of its files; `thumbnail` the address of its picture."""

    name: str
    label: str
    description: str
    version: str
    thumbnail: str | None = None
    image: CaseImage


class CasePage(Answer):
    """All published cases."""

    items: list[CaseSummary]
    next_cursor: str | None = None


class ChoiceInfo(Answer):
    """One of the values that a parameter can have."""

    value: JsonValue
    label: str


class ParameterInfo(Answer):
    """One thing that people set.

    `enabled_if`: the parameter is in use only where each named parameter has one of the values. `step` counts from
    `min`, else from 0, in decimals.
    """

    name: str
    label: str
    help: str | None = None
    type: Literal["float", "int", "bool", "choice", "text", "file"]
    unit: str | None = None
    required: bool
    default: JsonValue = None
    min: float | int | None = None
    max: float | int | None = None
    step: float | int | None = None
    choices: list[ChoiceInfo] = Field(default_factory=list)
    enabled_if: dict[str, list[JsonValue]] = Field(default_factory=dict)
    max_length: int | None = None
    multiline: bool = False
    pattern: str | None = None


class FamilyInfo(Answer):
    """A group of parameters; `collapse`: closed at first."""

    label: str
    collapse: bool = False
    parameters: list[ParameterInfo]


class ProgressInfo(Answer):
    """How progress is seen; `min` and `max` are numbers or the names of parameters."""

    file: str | None = None
    pattern: str | None = None
    command: list[str] | None = None
    min: float | int | str = 0
    max: float | int | str = 1
    unit: str | None = None


class ColumnInfo(Answer):
    """A column of a data series."""

    name: str
    label: str | None = None
    unit: str | None = None


class SeriesInfo(Answer):
    """A table that the payload writes while it runs."""

    name: str
    label: str | None = None
    file: str
    format: str | None = None
    x: str | None = None
    columns: list[ColumnInfo] = Field(default_factory=list)


class CaseInfo(CaseSummary):
    """A case with all that a form needs.

    `json_schema`, on the wire ``schema``, describes the values: a subset of JSON Schema draft-07, with hints for forms
    under ``x-…``. Texts in `resources` may hold the case's templates.
    """

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    families: list[FamilyInfo]
    json_schema: dict[str, Any] = Field(alias="schema")
    resources: dict[str, JsonValue] = Field(default_factory=dict)
    outputs: list[dict[str, JsonValue]] | None = None
    progress: ProgressInfo | None = None
    data: list[SeriesInfo] = Field(default_factory=list)
    save_and_stop: bool = False


class CaseBuild(Answer):
    """Where the build of a case's image is."""

    state: Literal["built", "not_built", "building", "remote"]
    message: str | None = None


class GivenValues(Model):
    """The body of a check, and of a set of values to keep."""

    values: dict[ValueName, JsonValue] = Field(max_length=1000)


class CheckedValues(Answer):
    """Values that a job could have: complete, with defaults."""

    values: dict[str, JsonValue]


class ValueSet(Answer):
    """Values that a person keeps under a name; `version` is the ETag."""

    name: str
    case: str
    version: int
    values: dict[str, JsonValue]
    updated_at: Time


class ValueSetPage(Answer):
    """All sets that a person keeps for a case."""

    items: list[ValueSet]
    next_cursor: str | None = None
