"""Whether the inputs that a specification names are there: uploads and outputs of other jobs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from gateway.db import jobs, uploads
from gateway.db import outputs as catalogue
from gateway.db.database import Database
from gateway.errors import FieldError
from gateway.model.specification import Input, JobSpecification
from gateway.model.states import ENDED, State


class InputSources:
    """Looks inputs up. Blocking: call it in a thread."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def errors(self, specification: JobSpecification, owner: str) -> list[FieldError]:
        """Return what cannot be an input of a job of `owner`."""
        if not any(item.upload or item.job for item in specification.inputs):
            return []
        return self.database.read_here(lambda c: input_errors(c, specification, owner))


def input_errors(connection: Connection, specification: JobSpecification, owner: str) -> list[FieldError]:
    """Return what cannot be an input of a job of `owner`."""
    inputs = specification.inputs
    known = uploads.complete_digests(connection, owner, [item.upload for item in inputs if item.upload])
    errors = []
    for number, item in enumerate(inputs):
        if item.upload is not None and item.upload not in known:
            detail = "is not a complete upload of yours: send the file to POST /api/v1/uploads first"
            errors.append(FieldError(f"#/inputs/{number}/upload", detail))
        if item.job is not None:
            errors += _output_errors(connection, number, item, owner, specification)
    return errors


def _output_errors(
    connection: Connection, number: int, item: Input, owner: str, specification: JobSpecification
) -> list[FieldError]:
    assert item.job is not None
    assert item.output is not None
    row = jobs.get(connection, item.job)
    if row is None or row["owner"] != owner:
        return [FieldError(f"#/inputs/{number}/job", "is not a job of yours")]
    if State(row["state"]) not in ENDED:
        if item.job in (*specification.after_success, *specification.after_end):
            return []
        detail = f"that job is {row['state']}: name it in after_success or after_end, too, to wait for it"
        return [FieldError(f"#/inputs/{number}/job", detail)]
    if find_output(connection, item.job, item.output, row["stores"]) is None:
        return [FieldError(f"#/inputs/{number}/output", "is not a final output of that job")]
    return []


def find_output(connection: Connection, job_id: str, path: str, stores: Sequence[str]) -> dict[str, object] | None:
    """Return the row of a final output in the first of `stores` that has it."""
    for store in stores:
        row = catalogue.get(connection, job_id, store, path)
        if row is not None and row["state"] == "final":
            return dict(row)
    return None
