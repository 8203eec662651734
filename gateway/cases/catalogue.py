"""The cases that this gateway publishes, and every version that it ever served.

A case is read anew when one of its files changed. What is broken is not served: the version before stays until the
folder is right again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway import templates
from gateway.cases.case import CASE_FILE, Case, load_case, load_folder
from gateway.cases.folder import pack, signature, unpack, version_of, write_folder
from gateway.cases.mistakes import CaseInvalid, Mistake
from gateway.db import cases as table
from gateway.db.database import Database
from gateway.errors import NotFound

log = logging.getLogger(__name__)

KEPT_IN_MEMORY = 64
"""Versions, beside the current ones."""


@dataclass(frozen=True)
class _Entry:
    signature: tuple[object, ...]
    case: Case | None
    problem: CaseInvalid | None


def case_folders(configured: Sequence[Path] = ()) -> dict[str, Path]:
    """Return the folder of each published case by name.

    A case in a configured folder hides the shipped one of that name; of several configured ones the first counts.
    """
    found: dict[str, Path] = {}
    for place in (templates.folder() / "cases", *(folder.expanduser() for folder in reversed(configured))):
        with contextlib.suppress(OSError):
            for folder in sorted(place.iterdir()):
                if (folder / CASE_FILE).is_file() and not folder.name.startswith("."):
                    found[folder.name] = folder.absolute()
    return dict(sorted(found.items()))


class Catalogue:
    """Finds cases. Blocking; any thread may use it.

    Parameters
    ----------
    configured
        Folders of cases beside the shipped one.
    database
        Keeps versions; None where nothing is kept.
    kept
        A folder of this gateway's, where the files of a version are written for who builds its image.
    """

    def __init__(self, configured: Sequence[Path], database: Database | None = None, kept: Path | None = None) -> None:
        self._configured = tuple(configured)
        self._database = database
        self._kept = kept
        self._lock = threading.RLock()
        self._current: dict[str, _Entry] = {}
        self._versions: OrderedDict[str, Case] = OrderedDict()

    def all(self) -> list[Case]:
        """Return the current version of every case, by name."""
        with self._lock:
            entries = [self._entry(name, folder) for name, folder in case_folders(self._configured).items()]
        return [entry.case for entry in entries if entry.case is not None]

    def problems(self) -> list[CaseInvalid]:
        """Return what keeps cases from being published."""
        with self._lock:
            entries = [self._entry(name, folder) for name, folder in case_folders(self._configured).items()]
        return [entry.problem for entry in entries if entry.problem is not None]

    def find(self, name: str, version: str | None = None) -> Case:
        """Return a case: its current version, or the one with that digest.

        Raises
        ------
        NotFound
            There is no such case or no such version of it.
        """
        with self._lock:
            folder = case_folders(self._configured).get(name)
            case = self._entry(name, folder).case if folder is not None else None
            if version is None:
                if case is None:
                    raise NotFound(f"there is no case {name[:64]!a}")
                return case
            if case is not None and case.version == version:
                return case
            return self._old(name, version)

    def recipe(self, case: Case) -> Path | None:
        """Return the recipe of a version's image, among that version's own files; None where it has none.

        The case's folder may change at any time; these files do not.
        """
        if case.definition.recipe is None:
            return None
        if self._kept is None:
            return case.folder / case.definition.recipe if case.folder is not None else None
        folder = self._kept / case.version.removeprefix("sha256:")
        if not folder.is_dir():
            part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
            try:
                write_folder(case.files, part)
                with contextlib.suppress(FileExistsError, OSError):
                    os.rename(part, folder)  # noqa: PTH104  (never over what another process made)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return folder / case.definition.recipe

    def _entry(self, name: str, folder: Path) -> _Entry:
        """Return what is known of a folder, read anew where it changed."""
        seen = (str(folder), *signature(folder))
        before = self._current.get(name)
        if before is not None and before.signature == seen:
            return before
        try:
            case = load_folder(folder)
            self._keep(case)
            entry = _Entry(seen, case, None)
        except CaseInvalid as problem:
            log.warning("the case %s is not published as it is: %s", name, "; ".join(map(str, problem.mistakes[:5])))
            entry = _Entry(seen, before.case if before else None, problem)
        self._current[name] = entry
        return entry

    def _keep(self, case: Case) -> None:
        self._remember(case)
        database = self._database
        if database is None or database.read_here(lambda c: table.has_version(c, case.version)):
            return
        content = pack(case.files)
        database.write_here(lambda c: table.keep_version(c, case.version, case.name, content))

    def _old(self, name: str, version: str) -> Case:
        case = self._versions.get(version)
        if case is not None and case.name == name:
            self._versions.move_to_end(version)
            return case
        content = None
        if self._database is not None:
            content = self._database.read_here(lambda c: table.version_content(c, name, version))
        if content is None:
            raise NotFound(f"the case {name[:64]!a} has no version {version[:80]!a}")
        try:
            files = unpack(name, content)
            if version_of(files) != version:
                raise CaseInvalid(name, [Mistake("", 0, "it was damaged in the database")])
            case = load_case(name, files)
        except CaseInvalid as problem:
            detail = f"the version {version} of the case {name} is none that this release can use"
            raise NotFound(f"{detail}: {problem.mistakes[0]}") from None
        self._remember(case)
        return case

    def _remember(self, case: Case) -> None:
        self._versions[case.version] = case
        self._versions.move_to_end(case.version)
        while len(self._versions) > KEPT_IN_MEMORY:
            self._versions.popitem(last=False)
