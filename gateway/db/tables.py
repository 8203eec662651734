"""The tables. Migrations in ``gateway/db/migrations`` make them; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from gateway.db import image_tables, people_tables, retention_tables  # noqa: F401 - so that the metadata knows them
from gateway.db.columns import CText, Moment, metadata

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
    Column("request", JSON(none_as_null=True)),
    Column("case_version", String(71)),
    Column("values", JSON(none_as_null=True)),
    Column("notes", Text),
    Column("lane", String(200), nullable=False, server_default=""),
    Column("hold", Boolean, nullable=False, server_default=false()),
    Column("sync_requested_at", Moment),
    Column("sweep_index", Integer),
    Index("ix_jobs_owner_created", "owner", "created_at", "id"),
    Index("ix_jobs_owner_ended", "owner", "ended_at", "created_at", "id"),
    Index("ix_jobs_sweep", "sweep", "sweep_index"),
    Index("ix_jobs_created", "created_at", "id"),
    Index("ix_jobs_owner_state", "owner", "state", "created_at", "id"),
    Index("ix_jobs_owner_target", "owner", "target", "created_at", "id"),
    Index("ix_jobs_owner_case", "owner", "case", "created_at", "id"),
    Index("ix_jobs_owner_name", "owner", "name", "created_at", "id"),
    Index("ix_jobs_owner_started", "owner", "started_at", "created_at", "id"),
    Index("ix_jobs_owner_sweep_index", "owner", "sweep_index", "created_at", "id"),
    Index("ix_jobs_state_target", "state", "target"),
    Index("ix_jobs_target_state", "target", "state"),
    Index("ix_jobs_lane_state", "lane", "state"),
)
"""``lane``: what one loop of the engine drives: the target's name, or ``target@account`` where people have accounts.
``spec``: what is carried out, complete. ``request``: what was asked for, to ask again with changes.
``hold``: its owner asked that it not start. ``values``: of its case, or of its point in a sweep."""

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
    Column("running_at", Moment),
    Column("payload_started_at", Moment),
    Column("cancel_sent_at", Moment),
    Column("missing_since", Moment),
    Column("offsets", JSON, nullable=False),
    Column("final", JSON(none_as_null=True)),
    Column("scheduler_record", JSON(none_as_null=True)),
    Column("script", Text),
    Column("renew_at", Moment),
    Column("hold_sent_at", Moment),
    Column("array", String(15)),
    Column("array_index", Integer),
    Column("version", Integer, nullable=False, server_default=text("0"), onupdate=text("version + 1")),
    UniqueConstraint("submission"),
    Index("ix_attempts_array", "array", "array_index"),
)
"""``array``: the name of the array that the attempt was submitted in, as a task with the index ``array_index``.
``claimed_at``: its run's own record was read. ``running_at``: its scheduler showed a run, or an end that a run may have
had; an attempt with neither can have left nothing. ``version`` grows with every change of the row, as a job's does: who
has read both knows what was changed since."""

script_libraries = Table(
    "script_libraries",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("text", Text, nullable=False),
)
"""What scripts load from their target, by the digest that stands in them."""

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
    Column("verdict", String(16)),
    Column("verified_at", Moment),
    Column("backlog", BigInteger),
    Column("backlog_files", BigInteger),
    Column("oldest_unsent", Moment),
    Column("backlog_at", Moment),
    Column("behind", Integer, nullable=False, server_default=text("0")),
    Column("rescue_at", Moment),
    Index(
        "ix_job_stores_rescue",
        "rescue_at",
        sqlite_where=text("rescue_at IS NOT NULL"),
        postgresql_where=text("rescue_at IS NOT NULL"),
    ),
)
"""``backlog``, ``backlog_files``, ``oldest_unsent``: what is wanted and not in the store, as it was seen at
``backlog_at``. ``behind``: how much of that was told in events. ``rescue_at``: when the gateway tries again to bring
what an ended job left, after ``tries`` tries."""

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
    Column("going", String(8)),
    Column("tier", String(32)),
    Index("ix_outputs_parent", "job_id", "store", "parent", "path"),
)
"""``going``: what is about to be done with the file (``delete``, ``archive``, ``restore``). ``tier``: where it was
archived to."""

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

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("added_at", Moment, nullable=False),
)
"""The public keys of all gateway processes that ever used this database: what they signed is believed."""

verifications = Table(
    "verifications",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("store", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("verdict", String(16)),
    Column("holder", String(64), nullable=False),
    Column("sample", BigInteger),
    Column("basis", String(80)),
    Column("started_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("position", CText),
    Column("report", JSON, nullable=False),
)
"""The latest verification of each store of a job. ``holder``: the process that does it, or did. ``basis``: what it is
measured by, so that one that was broken off goes on behind ``position`` only by the same."""

verification_findings = Table(
    "verification_findings",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("store", String(64), primary_key=True),
    Column("path", CText, primary_key=True),
    Column("result", String(16), nullable=False),
    Column("detail", Text, nullable=False),
)
"""What a verification found wrong, file by file; those that are not named are as they should be."""

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

dependencies = Table(
    "dependencies",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("on_job", String(36), primary_key=True),
    Column("kind", String(16), nullable=False),
    Index("ix_dependencies_on_job", "on_job"),
)
"""``job_id`` waits for ``on_job``: ``after_success`` or ``after_end``."""

case_versions = Table(
    "case_versions",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("published_at", Moment, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("ix_case_versions_name", "name", "published_at"),
)
"""Every version of a case that a job ran with or that was served: ``content`` is the case's folder as a tar."""

value_sets = Table(
    "value_sets",
    metadata,
    Column("owner", String(128), primary_key=True),
    Column("case", String(128), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("values", JSON, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

built_images = Table(
    "built_images",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("file", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("recipe", String(71), nullable=False),
    Column("built_at", Moment, nullable=False),
    Index("ix_built_images_recipe", "recipe"),
)
"""Images that this gateway built from recipes; ``recipe`` is the digest of what they were built from."""

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("owner", String(128), nullable=False),
    Column("target", String(64), nullable=False),
    Column("case", String(128)),
    Column("spec", JSON, nullable=False),
    Column("points", JSON, nullable=False),
    Column("count", Integer, nullable=False),
    Column("limit", Integer),
    Column("created_at", Moment, nullable=False),
    Column("rerun_of", String(36)),
    Column("cancel_requested_at", Moment),
    Index("ix_sweeps_owner_created", "owner", "created_at", "id"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("digest", String(71)),
    Column("size", BigInteger),
    Column("received", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment, nullable=False),
    Column("completed_at", Moment),
    Index("ix_uploads_owner_digest", "owner", "digest"),
)

leases = Table(
    "leases",
    metadata,
    Column("lane", String(200), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("status", JSON(none_as_null=True)),
)
"""Which process drives a lane, until when by the database's clock. ``token`` grows with every holder; a lease without
a holder names this database: targets know its fences by that. ``status``: what the holder last saw of the target."""

gateways = Table(
    "gateways",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("expires_at", Moment, nullable=False),
    Column("used", JSON, nullable=False),
)
"""The processes that share this database now. ``used``: commands of the last minute, by lane."""
