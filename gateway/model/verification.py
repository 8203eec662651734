"""Verifications of outputs, repairs of the catalogue and signing keys, as they stand on the wire."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from gateway.model.base import Time
from gateway.model.job import Answer


class Result(StrEnum):
    """What was found of one file."""

    OK = "ok"
    TAMPERED = "tampered"
    TRUNCATED = "truncated"
    GROWN = "grown"
    MISSING = "missing"
    EXTRA = "extra"
    UNREADABLE = "unreadable"
    UNPROVED = "unproved"


WRONG = frozenset({Result.TAMPERED, Result.TRUNCATED, Result.GROWN, Result.MISSING, Result.EXTRA})
"""What makes a verification fail; the other results but ``ok`` leave it incomplete."""


class Verdict(StrEnum):
    """What a verification came to, from the best to the worst."""

    VERIFIED = "verified"
    SAMPLED = "sampled"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


class Finding(Answer):
    """One file that is not as it should be."""

    path: str
    result: Result
    detail: str


class Verification(Answer):
    """Whether the outputs in a store are still those that were signed.

    Attributes
    ----------
    state
        ``running``, ``done``, ``cancelled``, ``interrupted`` (the process that did it has gone). Asking again goes on.
    sample
        So many files were read again; null: all of them. The store's listing is always compared whole.
    signature
        ``good``, ``missing``, ``bad`` (changed, or signed by nobody known here) or ``wrong`` (of another job, store or
        time); null until it was looked at.
    key
        The key that signed the manifest.
    completeness
        What the manifest itself says: ``complete``, ``rescued`` or ``partial``.
    files, bytes
        What is to be read again; `files_checked`, `bytes_checked`: what has been.
    counts
        How many files had each result.
    kept
        Files that the job wrote and no manifest names, because it removed or renamed them later: the catalogue has them
        as ``partial``.
    retired
        Files that the manifest names and retention removed since.
    findings
        A page of the files that are not as they should be.
    """

    job_id: str
    store: str
    state: Literal["running", "done", "cancelled", "interrupted"]
    verdict: Verdict | None = None
    sample: int | None = None
    signature: Literal["good", "missing", "bad", "wrong"] | None = None
    key: str | None = None
    completeness: str | None = None
    started_at: Time
    updated_at: Time
    ended_at: Time | None = None
    files: int = 0
    files_checked: int = 0
    bytes: int = 0
    bytes_checked: int = 0
    kept: int = 0
    retired: int = 0
    counts: dict[str, int] = Field(default_factory=dict)
    problem: str | None = None
    findings: list[Finding] = Field(default_factory=list)
    next_cursor: str | None = None


class SigningKey(Answer):
    """A public key (Ed25519, 32 bytes as base64) whose signatures are believed.

    `origin` is ``gateway`` (a process of this database signs, or signed, with it) or ``trusted`` (the configuration
    names it).
    """

    key: str
    origin: Literal["gateway", "trusted"]
    added_at: Time | None = None


class SigningKeys(Answer):
    """All keys whose signatures are believed."""

    items: list[SigningKey]
    next_cursor: str | None = None


class Repair(Answer):
    """A line of what reconciling a store with the catalogue tells.

    Attributes
    ----------
    kind
        ``progress``; ``job`` (a job's rows differed from the store); ``adopted`` (a folder became a job, or a store of
        one); ``skipped`` (left alone, with the reason); ``unknown`` (a folder that is nobody's); ``done`` (the sums);
        ``failed`` (it ends here, and why).
    done
        Whether it was written; false in a dry run.
    """

    kind: Literal["progress", "job", "adopted", "skipped", "unknown", "done", "failed"]
    store: str
    job_id: str | None = None
    folder: str | None = None
    objects: int = 0
    jobs: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    totals: bool = False
    done: bool = False
    detail: str | None = None
    paths: list[str] = Field(default_factory=list)
