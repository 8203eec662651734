"""What one job needs on its target and in its stores, worked out from its row and the configuration. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import RowMapping

from gateway.compute.target import TargetPaths
from gateway.model.specification import Image, JobSpecification, Output, StoreChoice
from gateway.storage.filters import OutputRule, Transfer, plan_transfers
from gateway.storage.stores.base import Place


@dataclass(frozen=True)
class StorePlan:
    """One store of a job: where in it, and which transfers fill it."""

    name: str
    place: Place
    transfers: tuple[Transfer, ...]
    rules: tuple[OutputRule, ...]
    exclude: tuple[str, ...]


@dataclass(frozen=True)
class JobPlan:
    """A job as the engine works with it."""

    job_id: str
    attempt: int
    specification: JobSpecification
    stores: tuple[StorePlan, ...]


@dataclass(frozen=True)
class Folders:
    """The job's folders on its target, absolute."""

    job: str
    control: str


def folders_of(paths: TargetPaths, job_id: str, attempt: int) -> Folders:
    """Return the folders of an attempt (docs/job-folder.md)."""
    return Folders(posixpath.join(paths.workdir, job_id), posixpath.join(paths.control_root, job_id, str(attempt)))


def plan_job(row: RowMapping, store_names: Sequence[str]) -> JobPlan:
    """Read a job's row.

    Parameters
    ----------
    store_names
        The stores that the job was accepted with (a default store is not in the specification).
    """
    specification = JobSpecification.model_validate(row["spec"])
    chosen = {choice.store: choice for choice in specification.stores}
    stores = []
    for name in store_names:
        choice = chosen.get(name, StoreChoice(store=name))
        wanted = choice.outputs if choice.outputs is not None else specification.outputs
        rules = tuple(_rule(output) for output in wanted or ())
        place = Place(row["id"], row["owner"], row["case"], choice.path)
        transfers = tuple(plan_transfers(rules, specification.exclude))
        stores.append(StorePlan(name, place, transfers, rules, specification.exclude))
    return JobPlan(row["id"], row["attempt"], specification, tuple(stores))


def with_images(plan: JobPlan, images: Sequence[Image]) -> JobPlan:
    """Return the plan with its images as its nodes find them: its own first, where it has one, then its tools'."""
    specification, placed = plan.specification, list(images)
    image = placed.pop(0) if specification.image is not None else None
    named = zip(placed, specification.tools, strict=True)
    tools = tuple(tool.model_copy(update={"name": asked.title}) for tool, asked in named)
    changed = specification.model_copy(update={"image": image, "tools": tools})
    return replace(plan, specification=changed)


def _rule(output: Output) -> OutputRule:
    return OutputRule(output.source, output.destination, output.content_type, output.follow, output.when)
