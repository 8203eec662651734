"""What the database knows of a run, for its record and its crate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from gateway.cases.case import load_case
from gateway.cases.folder import unpack
from gateway.cases.mistakes import CaseInvalid
from gateway.compute.target import Target
from gateway.crates.graph import MAX_FILES, CrateFile, CrateFolder, Machine, Parameter, RunFacts
from gateway.db import cases as case_table
from gateway.db import jobs as job_table
from gateway.db import outputs as catalogue
from gateway.jobs.views import Row, job_of
from gateway.model.crate import RunRecord
from gateway.model.states import State

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class KeptCase:
    """A version of a case as the database has it: its packed folder, and what crates say of it."""

    content: bytes
    label: str
    description: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a run ended: by its final record, else by its row."""

    state: State
    message: str | None
    record: Mapping[str, Any]

    @property
    def image_digest(self) -> str | None:
        """Of the image that the node used, as it says."""
        image = self.record.get("image")
        digest = image.get("digest") if isinstance(image, Mapping) else None
        return digest if isinstance(digest, str) and _DIGEST.match(digest) else None

    @property
    def host(self) -> str | None:
        """Where the payload ran."""
        host = self.record.get("host")
        return host if isinstance(host, str) and host else None

    def moment(self, *names: str) -> datetime | None:
        """Return the first of these times that the record has."""
        for name in names:
            text = self.record.get(name)
            if isinstance(text, str):
                try:
                    found = datetime.fromisoformat(text)
                except ValueError:
                    continue
                return found if found.tzinfo else found.replace(tzinfo=UTC)
        return None


def kept_case(connection: Connection, name: str | None, version: str | None) -> KeptCase | None:
    """Return a version of a case; None where the job has none, or it cannot be read any more."""
    if name is None or version is None:
        return None
    content = case_table.version_content(connection, name, version)
    return None if content is None else _described(name, content)


@lru_cache(maxsize=16)
def _described(name: str, content: bytes) -> KeptCase:
    """Read a packed case; jobs of a sweep have the same."""
    try:
        definition = load_case(name, unpack(name, content)).definition
    except CaseInvalid:
        return KeptCase(content, name, "")
    parameters = {item.name: Parameter(item.label, item.unit, item.help) for item in definition.parameters}
    return KeptCase(content, definition.label, definition.description, parameters)


def stored_outputs(connection: Connection, job_id: str, store: str) -> tuple[list[CrateFile], list[CrateFolder]]:
    """Return the outputs of a store: all of them, or where they are too many, files and folders of the top level."""
    rows = catalogue.files(connection, job_id, store, limit=MAX_FILES + 1)
    folders: list[CrateFolder] = []
    if len(rows) > MAX_FILES:
        rows = catalogue.files(connection, job_id, store, one_level=True, limit=MAX_FILES)
        found = catalogue.subfolders(connection, job_id, store, limit=MAX_FILES)
        folders = [CrateFolder(row["prefix"], row["count"], row["bytes"]) for row in found]
    files = [
        CrateFile(row["path"], row["size"], row["content_type"], row["digest"], row["modified_at"]) for row in rows
    ]
    return files, folders


def machine_of(name: str, target: Target | None, host: str | None) -> Machine:
    """Return where a run was."""
    if target is None:
        return Machine(name, "an unknown scheduler", "an unknown runtime", host)
    return Machine(name, target.scheduler.kind, target.runtime_settings.kind, host)


def facts_of(
    connection: Connection, row: Row, store: str, run: RunRecord, ended: Ended, case: KeptCase | None, machine: Machine
) -> RunFacts:
    """Return what stands in the crate of a run; the files of its record are left to the caller."""
    files, folders = stored_outputs(connection, row["id"], store)
    return RunFacts(
        run=run,
        job=job_of(row, job_table.stores_of(connection, [row["id"]]).get(row["id"], [])),
        state=ended.state,
        message=ended.message,
        started_at=ended.moment("payload_started_at", "claimed_at") or row["started_at"],
        ended_at=ended.moment("ended_at", "payload_ended_at") or row["ended_at"] or datetime.now(UTC),
        machine=machine,
        case_label=case.label if case is not None else "",
        case_description=case.description if case is not None else "",
        parameters=case.parameters if case is not None else {},
        outputs=files,
        folders=folders,
    )
