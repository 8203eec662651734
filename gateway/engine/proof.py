"""What was proved about one store of an attempt. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import RowMapping

from gateway.db import jobs, outputs
from gateway.model.states import OutputsState
from gateway.storage.content_types import guess
from gateway.storage.manifest import ManifestFile
from gateway.storage.stores.base import StoredObject

Row = RowMapping


@dataclass(frozen=True)
class Proof:
    """What was proved about one store: completeness, the files, and what is missing and why.

    Attributes
    ----------
    lasting
        No further try makes it better.
    """

    state: OutputsState
    files: tuple[ManifestFile, ...] = ()
    missing: tuple[str, ...] = ()
    problem: str | None = None
    stored: Mapping[str, StoredObject] = field(default_factory=dict)
    lasting: bool = False


def output_rows(row: Row, proof: Proof) -> list[outputs.OutputRow]:
    """Return the rows of the files that were found in the store."""
    missing, at = set(proof.missing), jobs.now()
    return [
        outputs.OutputRow(
            path=file.path,
            size=file.size,
            state="partial" if proof.state is OutputsState.PARTIAL else "final",
            attempt=row["attempt"],
            modified_at=file.modified_at,
            content_type=file.content_type or guess(file.path),
            digest=file.digest,
            stored_at=at,
        )
        for file in proof.files
        if file.path not in missing
    ]
