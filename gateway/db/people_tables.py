"""The tables of people, their tokens, and what they asked for."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from gateway.db.columns import Moment, metadata

people = Table(
    "people",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("disabled_at", Moment),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("person", ForeignKey("people.name", ondelete="CASCADE"), nullable=False),
    Column("label", Text, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("used_at", Moment),
    UniqueConstraint("hash"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("person", String(128), nullable=False),
    Column("token", String(36)),
    Column("request", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("method", String(8), nullable=False),
    Column("path", Text, nullable=False),
    Column("owner", String(128)),
    Column("status", Integer, nullable=False),
    Index("ix_audit_at", "at", "id"),
)
"""Every request that could change something: who, what, on whose behalf, and how it was answered."""
