"""Runs as crates hold them, and what a gateway would do with one."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from gateway.model.base import Digest, Line, Model, Name
from gateway.model.job import Answer
from gateway.model.specification import JobId, RelativePath, Url, ValueName

RECORD_FOLDER = ".gateway"
"""Below a job's outputs: what the gateway writes of the run."""
RUN_FILE = f"{RECORD_FOLDER}/run.json"
METADATA_FILE = "ro-crate-metadata.json"
MAX_KEPT_INPUT = 1024 * 1024
"""Bytes of an input that is kept whole; of a larger one there is its digest, and where it came from."""
MAX_INPUTS = 10_000
Source = Literal["content", "url", "upload", "output", "target"]
Text = Annotated[Line, StringConstraints(max_length=2048)]


class Recorded(BaseModel):
    """Base of what crates hold: unknown fields are ignored, so that later gateways can add some."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RunImage(Recorded):
    """The container image of a run."""

    ref: Text
    digest: Digest | None = None


class RunInput(Recorded):
    """An input of a run.

    Attributes
    ----------
    kept
        Where its bytes stand in the crate; None where they are not in it as a file.
    reference, signed
        Where it came from, without what would open it; whether there was such a thing.
    """

    path: RelativePath
    source: Source
    size: int | None = Field(default=None, ge=0)
    digest: Digest | None = None
    kept: Annotated[str, StringConstraints(pattern=r"^\.gateway/inputs/", max_length=1100)] | None = None
    reference: Text | None = None
    signed: bool = False


class RunRecord(Recorded):
    """What was run: the file ``.gateway/run.json``.

    Attributes
    ----------
    request, specification
        What was asked for, and what was carried out.
    hidden
        JSON pointers of what was left out of `specification` because it is secret.
    """

    version: Literal[1] = 1
    job: JobId
    name: Annotated[Line, StringConstraints(max_length=200)] = "job"
    attempt: int = Field(default=1, ge=1)
    target: Name | None = None
    case: Name | None = None
    case_version: Digest | None = None
    values: dict[ValueName, JsonValue] = Field(default_factory=dict, max_length=1000)
    image: RunImage | None = None
    inputs: tuple[RunInput, ...] = Field(default=(), max_length=MAX_INPUTS)
    request: dict[str, JsonValue] = Field(default_factory=dict, max_length=100)
    specification: dict[str, JsonValue] = Field(max_length=100)
    hidden: tuple[Text, ...] = Field(default=(), max_length=1000)


class CrateOrder(Model):
    """Run again what a crate holds: its `run`, or a `url` of the crate (a zip file, or its metadata file).

    `changes` is a JSON merge patch over the request that follows. With `any_image` a case may run in another build of
    its image, and a command in an image whose digest the crate does not know.
    """

    run: RunRecord | None = None
    url: Url | None = None
    target: Name | None = None
    stores: tuple[Name, ...] = Field(default=(), max_length=8)
    changes: dict[str, JsonValue] = Field(default_factory=dict, max_length=100)
    any_image: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.run is None) == (self.url is None):
            raise ValueError("needs either run or url")
        return self


class NeededFile(Answer):
    """A file that the gateway does not have: it must be uploaded first. `kept`: where the crate has it."""

    path: str
    digest: str
    size: int | None = None
    kept: str | None = None


class CratePlan(Answer):
    """What would be done with a crate.

    Attributes
    ----------
    how
        ``case``: by the same version of the case; ``specification``: by what was carried out.
    needed
        Files to upload before.
    missing
        Why it cannot be run; empty where it can.
    notes
        What is not as it was.
    request
        The body for ``POST /jobs``.
    """

    how: Literal["case", "specification"]
    run: RunRecord
    target: str | None = None
    needed: list[NeededFile] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    request: dict[str, Any] = Field(default_factory=dict)
