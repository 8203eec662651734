"""The tables of the catalogue of images."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from gateway.db.columns import CText, Moment, metadata

images = Table(
    "images",
    metadata,
    Column("id", CText, primary_key=True),
    Column("digest", String(71)),
    Column("size", BigInteger),
    Column("media_type", String(128)),
    Column("piece_size", BigInteger),
    Column("pieces", LargeBinary),
    Column("sources", JSON, nullable=False),
    Column("categories", JSON, nullable=False),
    Column("commands", JSON, nullable=False),
    Column("summary", Text, nullable=False),
    Column("architecture", String(32)),
    Column("manifest_digest", String(71)),
    Column("origin", String(32), nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("used_at", Moment),
    Column("work", JSON(none_as_null=True)),
    UniqueConstraint("digest"),
    Index("ix_images_created", "created_at", "id"),
)
"""Keyed by digest, once the file was read; an image that was only described (imported, or a ``docker://`` source that
was never converted) has none yet, nor size and pieces. ``pieces``: the SHA-256 hashes of the pieces, 32 bytes each, one
after the other. ``origin``: ``added``, ``neurodesk``, ``published``. ``live``: what publishing and lists are about; a
retired image has it false. ``used_at``: when a job last asked for it. ``work``: how far a reading or a check is, or how
the last one ended."""

image_names = Table(
    "image_names",
    metadata,
    Column("name", CText, primary_key=True),
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), nullable=False),
    Index("ix_image_names_image", "image_id"),
)
"""``tool/version``, each of one image."""

image_mirrors = Table(
    "image_mirrors",
    metadata,
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("url", CText, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("region", String(64)),
    Column("state", String(16), nullable=False),
    Column("checked_at", Moment),
    Column("rate_bytes_per_s", Float),
    Column("problem", Text),
)
"""``state``: ``alive``, ``wrong``, ``dead``, ``unknown``; the rate is what the gateway's own last check saw."""

image_rates = Table(
    "image_rates",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("host", String(255), primary_key=True),
    Column("rate_bytes_per_s", Float, nullable=False),
    Column("observed_at", Moment, nullable=False),
)
"""What jobs of a target saw of a mirror's host; the latest weigh most."""

image_publications = Table(
    "image_publications",
    metadata,
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("mirror", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("url", Text),
    Column("problem", Text),
    Column("tries", Integer, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("published_at", Moment),
    Column("checked_at", Moment),
    Column("path", Text),
    Column("proof", Text),
    Column("bytes", BigInteger, nullable=False),
    Column("by", String(128), nullable=False),
    Column("holder", String(64)),
    Column("held_until", Moment),
    Index("ix_image_publications_open", "state", "held_until"),
)
"""Each image in each configured mirror. ``state``: ``wanted``, ``working``, ``published``, ``failed``. ``holder``: the
process that works at it, until ``held_until``; without a holder, not before that. ``path``: in the mirror's store.
``proof``: what the store said of the object when all its bytes had been read and were right. ``bytes``: how many have
been copied in the try that goes on. ``by``: who asked."""

image_resolutions = Table(
    "image_resolutions",
    metadata,
    Column("reference", CText, primary_key=True),
    Column("architecture", String(32), primary_key=True),
    Column("manifest_digest", String(71)),
    Column("digest", String(71)),
    Column("size", BigInteger),
    Column("resolved_at", Moment, nullable=False),
)
"""What a reference (a tag) meant when it was last resolved. ``digest``: of the image file, where that is known."""
