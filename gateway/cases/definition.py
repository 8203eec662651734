"""What ``case.yaml`` may say, typed."""

from __future__ import annotations

import keyword
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from gateway.model.base import Line, Model, Name, text_problem
from gateway.model.specification import (
    MAX_ARGUMENT,
    Argument,
    Bind,
    DataSeries,
    EnvName,
    Image,
    Label,
    Output,
    Pattern,
    RelativePath,
    SaveAndStop,
    Sync,
    Tool,
    Unit,
    one_way,
    plain_image,
)

Type = Literal["float", "int", "bool", "choice", "text", "file"]
Syntax = Literal["braces", "mako"]
PATTERN_TEXT = 10_000
"""Characters of a text that is compared with a pattern: an unlucky pattern takes long on a long text."""

_MAKO_WORDS = ("context", "loop", "UNDEFINED", "capture", "caller", "self", "parent", "local", "next", "pageargs")
_RESERVED = frozenset({*_MAKO_WORDS, "math", "text", "true", "false", "null"})
_KEYS_OF: dict[str, frozenset[str]] = {
    "float": frozenset({"unit", "min", "max", "step"}),
    "int": frozenset({"unit", "min", "max", "step"}),
    "bool": frozenset(),
    "choice": frozenset({"unit", "choices"}),
    "text": frozenset({"max_length", "multiline", "pattern"}),
    "file": frozenset(),
}


def _number(value: Any) -> Any:
    """YAML 1.1 takes ``1e-6`` for a text."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise ValueError("must be a number") from None
    return value


def _parameter_name(value: str) -> str:
    if keyword.iskeyword(value) or value in _RESERVED:
        raise ValueError(f"{value!r} is a word of the templates: take another name")
    return value


def _markdown(value: str) -> str:
    if problem := text_problem(value, newlines=True):
        raise ValueError(problem)
    return value


Finite = Annotated[float, Field(allow_inf_nan=False)]
Number = Annotated[int | Finite, BeforeValidator(_number)]
ParameterName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$"), AfterValidator(_parameter_name)
]
Markdown = Annotated[str, StringConstraints(max_length=64 * 1024), AfterValidator(_markdown)]
Scalar = bool | int | Finite | Annotated[str, StringConstraints(max_length=1000), AfterValidator(_markdown)]


def _plain_choice(value: Any) -> Any:
    return value if isinstance(value, dict) else {"value": value}


class Choice(Model):
    """One of the values that a parameter can have."""

    value: Scalar
    label: Label | None = None


class Parameter(Model):
    """One thing that people set.

    Without a `default` a value must be given; a file whose default is null may be left out. `step` counts from
    `min`, else from 0. With `enabled_if` the parameter is in use only where every named parameter has (one of) the
    given value(s).
    """

    name: ParameterName
    label: Label
    help: Markdown | None = None
    type: Type
    unit: Unit | None = None
    default: Any = None
    min: Number | None = None
    max: Number | None = None
    step: Number | None = None
    choices: tuple[Annotated[Choice, BeforeValidator(_plain_choice)], ...] = Field(default=(), max_length=1000)
    enabled_if: dict[str, Scalar | tuple[Scalar, ...]] = Field(default_factory=dict, max_length=20)
    max_length: int = Field(default=1000, ge=1, le=MAX_ARGUMENT)
    multiline: bool = False
    pattern: Annotated[Line, StringConstraints(min_length=1, max_length=500)] | None = None

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return "default" not in self.model_fields_set

    @model_validator(mode="after")
    def _keys(self) -> Self:
        limited = frozenset().union(*_KEYS_OF.values())
        for key in sorted(self.model_fields_set & limited - _KEYS_OF[self.type]):
            raise ValueError(f"{key}: does not go with the type {self.type}")
        if self.type == "choice" and not self.choices:
            raise ValueError("choices: is needed for the type choice")
        return self

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min: is larger than max")
        if self.step is not None and self.step <= 0:
            raise ValueError("step: must be larger than 0")
        if self.type == "int":
            for key in ("min", "max", "step"):
                if isinstance(limit := getattr(self, key), float) and not limit.is_integer():
                    raise ValueError(f"{key}: must be a whole number")
        if self.pattern is not None and self.max_length > PATTERN_TEXT:
            raise ValueError(f"max_length: must be at most {PATTERN_TEXT} with a pattern")
        return self


class Family(Model):
    """A group of parameters that are shown together."""

    label: Label
    collapse: bool = False
    parameters: tuple[Parameter, ...] = Field(min_length=1, max_length=500)


class CaseInput(Model):
    """A file of the job's folder: a rendered template, a file as it is, or what a person gives."""

    path: RelativePath
    template: RelativePath | None = None
    static: RelativePath | None = None
    parameter: ParameterName | None = None
    executable: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len([x for x in (self.template, self.static, self.parameter) if x is not None]) != 1:
            raise ValueError("needs exactly one of template, static and parameter")
        if self.path.endswith("/"):
            raise ValueError("path: must name a file")
        return self


class CaseProgress(Model):
    """A rule of progress whose ends may be parameters."""

    file: RelativePath | None = None
    pattern: Pattern | None = None
    command: tuple[Argument, ...] | None = Field(default=None, min_length=1, max_length=1000)
    min: int | Finite | ParameterName = 0.0
    max: int | Finite | ParameterName = 1.0
    unit: Unit | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        one_way(self)
        return self


Resource = int | Finite | str | None | dict[str, str | int | Finite | bool]


class Definition(Model):
    """The whole of ``case.yaml``."""

    name: Name
    label: Label
    description: Markdown = ""
    thumbnail: RelativePath | None = None
    syntax: Syntax = "braces"
    families: tuple[Family, ...] = Field(default=(), max_length=100)
    inputs: tuple[CaseInput, ...] = Field(default=(), max_length=1000)
    image: RelativePath | Image
    command: tuple[Argument, ...] = Field(min_length=1, max_length=1000)
    env: dict[EnvName, Argument] = Field(default_factory=dict, max_length=200)
    resources: dict[
        Literal[
            "nodes", "cpus", "memory", "gpus", "tasks_per_node", "launcher", "walltime", "queue", "account", "options"
        ],
        Resource,
    ] = Field(default_factory=dict)
    outputs: tuple[Output, ...] | None = Field(default=None, max_length=200)
    exclude: tuple[Annotated[Line, StringConstraints(min_length=1, max_length=1024)], ...] = Field(
        default=(), max_length=200
    )
    sync: Sync | None = None
    progress: CaseProgress | None = None
    data: tuple[DataSeries, ...] = Field(default=(), max_length=50)
    save_and_stop: SaveAndStop | None = None
    tools: tuple[Annotated[Tool, BeforeValidator(plain_image)], ...] = Field(default=(), max_length=32)
    binds: tuple[Bind, ...] = Field(default=(), max_length=32)
    network: bool = True

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, in their order."""
        return tuple(parameter for family in self.families for parameter in family.parameters)

    @property
    def recipe(self) -> str | None:
        """The image's recipe in the folder; None where the image is to be had elsewhere."""
        return self.image if isinstance(self.image, str) else None
