"""Makes an attempt ready to be staged: credentials, filters, script, inputs."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from gateway.compute.job_library import bring_library
from gateway.compute.scheduler.base import SchedulerFacts, Submission
from gateway.compute.script import Library, PushTransfer, ScriptRequest, asked_for, library_of, render
from gateway.compute.staging import StagedAttempt, StagedFile
from gateway.compute.target import Target
from gateway.compute.target_inputs import target_copies
from gateway.compute.tools import bring_rclone
from gateway.compute.transport.base import RcloneRemote
from gateway.engine.plan import Folders, JobPlan, StorePlan, folders_of
from gateway.errors import StagingFailed, TargetError
from gateway.storage.stores.base import Store

SLACK = timedelta(hours=1)
"""Credentials outlive walltime and reserve by this much."""
QUEUE_ALLOWANCE = timedelta(hours=24)
"""How long a job may wait in the queue before its credentials are renewed for the first time."""


@dataclass(frozen=True)
class Prepared:
    """An attempt ready to be staged, and how each store gets its outputs."""

    staged: StagedAttempt
    submission: Submission
    script: str
    library: Library
    folders: Folders
    transfers: Mapping[str, str]


@dataclass
class Batch:
    """What holds for all attempts that are prepared together.

    Attributes
    ----------
    relays
        Outputs can be relayed from the target: somebody has looked.
    metalinks
        What the catalogue knows of images, by digest; None where it knows nothing.
    looking
        Held by who looks there: the others need not.
    """

    relays: bool = False
    metalinks: dict[str, bytes | None] = field(default_factory=dict)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)


def credentials_life(plan: JobPlan) -> timedelta:
    """Return how long credentials must hold once the job runs."""
    resources, sync = plan.specification.resources, plan.specification.sync
    return timedelta(seconds=resources.walltime + sync.reserve) + SLACK


async def push_remotes(
    plan: JobPlan, target: Target, stores: Mapping[str, Store], shared: Collection[str] = ()
) -> dict[str, RcloneRemote]:
    """Return the remotes of the stores that the node itself can push to; the others are relayed.

    Parameters
    ----------
    shared
        Stores that other people use too: a node gets credentials there only where they open nothing but its own job.
    """
    found = {}
    for item in plan.stores:
        store = stores[item.name]
        if store.settings.transfer == "relay" or (item.name in shared and not store.push_opens_own_only):
            continue
        await store.prepare(item.place)
        life = credentials_life(plan) + QUEUE_ALLOWANCE
        remote = await store.push_remote(item.place, life, target=target.name)
        if remote is not None:
            found[item.name] = remote
    return found


def credentials_file(names: tuple[str, ...], remotes: Mapping[str, RcloneRemote]) -> bytes:
    """Return the lines of the node's credentials file."""
    lines = []
    for index, name in enumerate(names):
        for key, value in remotes[name].environment(f"S{index}").items():
            if "\n" in value or "\0" in value:
                raise StagingFailed(f"store {name}: the setting {key} holds a line break")
            lines.append(f"{key}={value}\n")
    return "".join(lines).encode()


def _push_transfers(pushed: tuple[StorePlan, ...], remotes: Mapping[str, RcloneRemote]) -> tuple[PushTransfer, ...]:
    found = []
    for index, item in enumerate(pushed):
        remote = remotes[item.name]
        for transfer in item.transfers:
            path = posixpath.join(remote.root, transfer.destination_folder.strip("/")).rstrip("/")
            found.append(
                PushTransfer(
                    store=index,
                    source=transfer.source_folder,
                    destination=f"S{index}:{path}",
                    content_type=transfer.content_type,
                    arguments=remote.arguments,
                    running_filter=transfer.running,
                    final_filter=transfer.final,
                    follow=transfer.follow,
                    urgent_filters=transfer.urgent,
                )
            )
    return tuple(found)


async def check_relays(plan: JobPlan, pushed: Mapping[str, RcloneRemote], target: Target, folder: str) -> bool:
    """Refuse early, in one sentence, what could not be relayed later; return whether anything is relayed.

    Raises
    ------
    StagingFailed
    """
    relayed = [item.name for item in plan.stores if item.name not in pushed]
    if not relayed:
        return False
    try:
        await target.transport.relay_source(folder)
    except TargetError as error:
        if error.status == 503:
            raise
        raise StagingFailed(f"store {relayed[0]}: {error.message}", hint=error.hint) from None
    return True


async def prepare(
    plan: JobPlan,
    submission_name: str,
    target: Target,
    facts: SchedulerFacts,
    stores: Mapping[str, Store],
    files: Mapping[str, Path],
    shared: Collection[str] = (),
    batch: Batch | None = None,
) -> Prepared:
    """Make everything that staging sends.

    Parameters
    ----------
    files
        The inputs that lie in files of the gateway, by their paths in the job's folder.
    shared
        See `push_remotes`.
    batch
        What was found out for others that are prepared with it.

    Raises
    ------
    StagingFailed, StoreError, TargetError
    """
    paths = await target.paths()
    folders = folders_of(paths, plan.job_id, plan.attempt)
    remotes = await push_remotes(plan, target, stores, shared)
    batch = batch or Batch()
    if not batch.relays:
        batch.relays = await check_relays(plan, remotes, target, folders.job)
    pushed = tuple(item for item in plan.stores if item.name in remotes)
    names = tuple(item.name for item in pushed)
    specification = plan.specification
    submission = Submission(submission_name, folders.control, specification.resources)
    transfers = _push_transfers(pushed, remotes)
    rclone = await bring_rclone(target.transport, paths.tools) if pushed else None
    libraries = {runtime.kind: runtime.library() for runtime in target.runtimes}
    library = library_of(paths.tools, libraries)
    await bring_library(target.transport, library)
    settings = target.scheduler_settings
    script = render(
        ScriptRequest(
            job_id=plan.job_id,
            attempt=plan.attempt,
            job_folder=folders.job,
            control_folder=folders.control,
            scheduler_kind=target.scheduler.kind,
            directives=target.scheduler.directives(submission, facts),
            preamble=settings.preamble,
            kill_delay=settings.kill_delay,
            runtimes=tuple(libraries) if specification.image else ("host",),
            runtime_libraries=libraries,
            image_cache=paths.image_cache,
            pull=target.settings.pull.variables(),
            binds=target.binds,
            bind_roots=target.bind_roots,
            tool_runtimes=tuple(libraries),
            scratch=target.settings.scratch,
            rclone=rclone,
            stores=names,
            transfers=transfers,
            library=library,
            **asked_for(specification),
        )
    )
    control_files = [StagedFile("job.sh", script.encode(), 0o700)]
    if specification.image and (metalink := batch.metalinks.get(specification.image.digest or "")):
        control_files.append(StagedFile("image.meta4", metalink, 0o600))
    for number, tool in enumerate(specification.tools):
        if metalink := batch.metalinks.get(tool.digest or ""):
            control_files.append(StagedFile(f"tool.{number}.meta4", metalink, 0o600))
    if pushed:
        control_files.append(StagedFile("credentials", credentials_file(names, remotes), 0o600))
    for number, transfer in enumerate(transfers):
        kinds = [("running", transfer.running_filter), ("final", transfer.final_filter)]
        kinds += [(f"urgent.{rank}", lines) for rank, lines in enumerate(transfer.urgent_filters)]
        for kind, lines in kinds:
            text = "".join(f"{line}\n" for line in lines)
            control_files.append(StagedFile(f"filter.{number}.{kind}", text.encode(), 0o600))
    inputs = [
        StagedFile(
            item.path, files.get(item.path) or (item.content or "").encode(), 0o755 if item.executable else 0o644
        )
        for item in specification.inputs
        if item.target_path is None
    ]
    staged = StagedAttempt(
        plan.job_id,
        plan.attempt,
        folders.job,
        folders.control,
        tuple(inputs),
        tuple(control_files),
        target_copies(target, specification.inputs),
    )
    how = {item.name: "push" if item.name in remotes else "relay" for item in plan.stores}
    return Prepared(staged, submission, script, library, folders, how)
