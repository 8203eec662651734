"""Inputs that are on the target already: which folders they may come from. Pure; the target itself looks again."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from gateway.compute.staging import TargetCopy
from gateway.compute.target import Target
from gateway.errors import StagingFailed
from gateway.model.base import text_problem
from gateway.model.specification import Input


def input_roots(target: Target) -> tuple[str, ...]:
    """Return the folders below which jobs may name inputs: those that they may see, and those for inputs alone."""
    return (*target.binds, *target.settings.input_roots)


def target_path_problem(path: str, roots: Sequence[str]) -> str | None:
    """Say why `path` cannot be an input of a job on a target with these `roots`, or None.

    Links are not known here: the target resolves them, and refuses what leads out.
    """
    if problem := text_problem(path):
        return problem
    if not path.startswith("/") or ".." in path.split("/"):
        return "must be an absolute path without '..'"
    if not roots:
        return "this target lists no folders that inputs may come from"
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if not any(clean == root or clean.startswith(root.rstrip("/") + "/") for root in map(posixpath.normpath, roots)):
        return f"must be below {' or '.join(roots)}"
    return None


def target_copies(target: Target, inputs: Sequence[Input]) -> tuple[TargetCopy, ...]:
    """Return what staging copies on the target itself.

    Raises
    ------
    StagingFailed
        The target does not list the folder (any more).
    """
    roots = input_roots(target)
    found = []
    for item in inputs:
        if item.target_path is None:
            continue
        if problem := target_path_problem(item.target_path, roots):
            raise StagingFailed(f"input {item.path}: {item.target_path} {problem}")
        found.append(TargetCopy(item.path, item.target_path, roots, item.executable))
    return tuple(found)
