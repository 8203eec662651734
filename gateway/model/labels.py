"""What people may change about a job at any time: it says what the job is for, not what it does."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from gateway.model.base import Line, Model
from gateway.model.specification import Label, Notes, TagName


class JobLabels(Model):
    """Name, tags and notes of a job."""

    name: Label
    tags: dict[TagName, Annotated[Line, StringConstraints(max_length=256)]] = Field(default_factory=dict, max_length=64)
    notes: Notes | None = None
