"""The tables. Migrations in ``gateway/db/migrations`` make them; a test holds the two together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept as whole microseconds since 1970 so that every database compares it alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else round(value.timestamp() * 1_000_000)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else datetime.fromtimestamp(value / 1_000_000, UTC)


CText = Text().with_variant(Text(collation="C"), "postgresql")
"""Text compared byte by byte, as paths and cursors must be (SQLite does so by itself)."""

counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""``events``: the last sequence. Updating the row locks it until commit, so sequences appear in order."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("last_state", String(16)),
    Column("reason", String(64)),
    Column("message", Text),
    Column("owner", String(128), nullable=False),
    Column("project", String(128)),
    Column("case", String(128)),
    Column("sweep", String(36)),
    Column("rerun_of", String(36)),
    Column("tags", JSON, nullable=False),
    Column("target", String(64), nullable=False),
    Column("stores", JSON, nullable=False),
    Column("scheduler_id", Text),
    Column("attempt", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("queued_at", Moment),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("observed_at", Moment),
    Column("cancel_requested_at", Moment),
    Column("exit_code", Integer),
    Column("progress", JSON(none_as_null=True)),
    Column("spec", JSON, nullable=False),
    Index("ix_jobs_owner_created", "owner", "created_at", "id"),
    Index("ix_jobs_created", "created_at", "id"),
    Index("ix_jobs_target_state", "target", "state"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("submission", String(15), nullable=False),
    Column("scheduler_id", Text),
    Column("token", String(32)),
    Column("control_folder", Text),
    Column("job_folder", Text),
    Column("created_at", Moment, nullable=False),
    Column("staged_at", Moment),
    Column("submit_started_at", Moment),
    Column("submitted_at", Moment),
    Column("claimed_at", Moment),
    Column("payload_started_at", Moment),
    Column("cancel_sent_at", Moment),
    Column("missing_since", Moment),
    Column("offsets", JSON, nullable=False),
    Column("final", JSON(none_as_null=True)),
    Column("scheduler_record", JSON(none_as_null=True)),
    Column("script", Text),
    Column("renew_at", Moment),
    UniqueConstraint("submission"),
)

job_stores = Table(
    "job_stores",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("store", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("path", Text),
    Column("transfer", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("problem", Text),
    Column("tries", Integer, nullable=False),
)

outputs = Table(
    "outputs",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("store", String(64), primary_key=True),
    Column("path", CText, primary_key=True),
    Column("parent", CText, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("modified_at", Moment),
    Column("content_type", Text),
    Column("digest", String(71)),
    Column("state", String(8), nullable=False),
    Column("stored_at", Moment),
    Index("ix_outputs_parent", "job_id", "store", "parent", "path"),
)

folders = Table(
    "folders",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("store", String(64), primary_key=True),
    Column("prefix", CText, primary_key=True),
    Column("parent", CText, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Index("ix_folders_parent", "job_id", "store", "parent", "prefix"),
)
"""Totals of every folder, kept in the transaction that changes `outputs`: never a GROUP BY over a million rows."""

events = Table(
    "events",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE")),
    Column("owner", String(128)),
    Column("at", Moment, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", JSON, nullable=False),
    Column("evidence", JSON(none_as_null=True)),
    Index("ix_events_job", "job_id", "sequence"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("owner", String(128), primary_key=True),
    Column("key", CText, primary_key=True),
    Column("body", String(64), nullable=False),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("at", Moment, nullable=False),
)
