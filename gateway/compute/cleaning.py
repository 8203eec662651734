"""Removes the folders of jobs that are over from their target, many with one remote command."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.compute import scripts
from gateway.compute.transport.base import Transport

SECONDS_A_FOLDER = 20.0
_JOB = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


@dataclass(frozen=True)
class JobFolders:
    """What a job has on its target: its own folder, and the one of its control folders."""

    job_id: str
    folder: str
    control: str

    @property
    def problem(self) -> str | None:
        """Why nothing of it may be removed; None: both are where the gateway puts them."""
        for path in (self.folder, self.control):
            above, name = posixpath.split(path)
            if not _JOB.match(self.job_id) or name != self.job_id or posixpath.normpath(path) != path:
                return f"{path} is not a folder of the job"
            if above in ("", "/"):
                return f"{path} is too near the root"
        return None


async def remove_folders(transport: Transport, found: Sequence[JobFolders]) -> Mapping[str, str | None]:
    """Remove folders.

    Returns
    -------
    Mapping
        By job: None where nothing is there any more, else why it was not removed. What the target did not tell of is
        left out.

    Raises
    ------
    TargetError
    """
    answers: dict[str, str | None] = {item.job_id: item.problem for item in found if item.problem}
    wanted = {item.job_id: item for item in found if not item.problem}
    if not wanted:
        return answers
    roots = {posixpath.dirname(item.control) for item in wanted.values()}
    lines = [f"gw_clean_gone {shlex.quote(root)}" for root in sorted(roots)]
    for item in wanted.values():
        words = shlex.join([item.job_id, posixpath.dirname(item.folder), posixpath.dirname(item.control)])
        lines.append(f"(gw_clean {words}) </dev/null")
    script = "\n".join([scripts.read("cleaning"), "unset CDPATH; LC_ALL=C", *lines, ""])
    result = await transport.run(script, timeout=60 + SECONDS_A_FOLDER * len(wanted))
    for line in result.text()[0].splitlines():
        job_id, _, rest = line.partition(" ")
        word, _, why = rest.partition(" ")
        if job_id in wanted and word in ("removed", "refused"):
            answers[job_id] = None if word == "removed" else why.strip()[:500] or "it cannot be removed"
    return answers
