"""Many attempts as one array of the scheduler: the array's folder, its script, and how its submission begins. Pure.

Each task has its own attempt, staged like any other. The array's script finds the attempt's control folder by the
task's index and becomes the attempt's own ``job.sh``.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence

from gateway import templates
from gateway.compute import scripts

MISSING, CLAIMED, NOT_MADE = 98, 97, 96
"""Exit statuses of the section: nothing was sent to the scheduler."""
_LOOKED = re.compile(r"^(missing|claimed) (\d{1,9})(?: ([!-~]{1,200}))?$", re.MULTILINE | re.ASCII)


def array_folder(control_folder: str, name: str) -> str:
    """Return the folder of an array, by the control folder of one of its attempts."""
    root = posixpath.dirname(posixpath.dirname(control_folder))
    return posixpath.join(root, "arrays", name)


def array_script(kind: str, folder: str, directives: Sequence[str]) -> str:
    """Return the text of the array's own ``job.sh``.

    Parameters
    ----------
    kind
        Of the scheduler.
    directives
        Lines of a closed alphabet, as `Scheduler.directives` returns them.
    """
    lines = ["#!/bin/bash", *directives, f"gw_scheduler={shlex.quote(kind)}", f"gw_array={shlex.quote(folder)}"]
    return "\n".join([*lines, templates.library("array.sh").rstrip("\n"), "gw_array_main; exit", ""])


def make_section(folder: str, script: str, tasks: Sequence[str]) -> str:
    """Return bash text that makes the array's folder, and ends where nothing may be sent.

    Parameters
    ----------
    tasks
        The control folders, by index.
    """
    return (
        f"{scripts.read('arrays')}\ngw_array_tasks=({shlex.join(tasks)})\n"
        f"gw_array_look || exit\n"
        f"gw_array_make {shlex.quote(folder)} {shlex.quote(script)} || exit {NOT_MADE}"
    )


def read_look(stdout: str) -> tuple[set[int], dict[int, str]]:
    """Return the indices of the tasks whose folder is missing, and the ids of the runs that have claimed theirs."""
    missing, claimed = set(), {}
    for word, index, scheduler_id in _LOOKED.findall(stdout):
        if word == "missing":
            missing.add(int(index))
        elif scheduler_id:
            claimed[int(index)] = scheduler_id
    return missing, claimed
