"""The tables of what retention was told to do, and of folders that are to be removed."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from gateway.db.columns import CText, Moment, metadata

retention_works = Table(
    "retention_works",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("store", String(64), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("basis", String(64), nullable=False),
    Column("action", String(8), nullable=False),
    Column("tier", String(32)),
    Column("keep", JSON, nullable=False),
    Column("by", String(128), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("position", CText, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("problem", Text),
    Column("tries", Integer, nullable=False),
    Column("holder", String(64)),
    Column("held_until", Moment),
    Column("done_at", Moment),
    Index("ix_retention_works_job", "job_id", "store"),
    Index("ix_retention_works_done", "done_at", "created_at"),
)
"""What retention was told to do with a job's outputs in a store. ``basis``: a digest of the rule, so that it is not
done again. ``position``: all before it, and it, is done. ``holder``: the process that does it, until ``held_until``."""

retention_holds = Table(
    "retention_holds",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("by", String(128), nullable=False),
    Column("at", Moment, nullable=False),
    Column("why", Text),
)
"""While one stands (``owner``, ``admin``), nothing of the job's outputs is deleted or archived."""

retention_rules = Table(
    "retention_rules",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("rule", JSON, nullable=False),
)
"""What owners ask for the outputs of single jobs."""

cleanings = Table(
    "cleanings",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("lane", String(200), nullable=False),
    Column("job_folder", Text, nullable=False),
    Column("control_folder", Text, nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("problem", Text),
    Column("done_at", Moment),
    Index("ix_cleanings_lane", "lane", "done_at", "asked_at"),
)
"""Folders of jobs on targets that are to be removed, or are; they outlive the job's row."""
