"""Reading the text of ``qstat -f``: Torque, Debian's Torque commands for Slurm, and old PBS Pro. Pure."""

from __future__ import annotations

import re

from gateway.compute.scheduler.pbs_state import JOB_ID

Jobs = dict[str, dict[str, object]]

_HEAD = re.compile(rf"Job Id:[ \t]*({JOB_ID})[ \t\r]*\Z", re.ASCII)


def read_jobs(text: str, indent: str = "    ") -> tuple[Jobs, list[str]]:
    """Return every job's attributes by id (names in lower case), and what could not be read.

    A job ends with an empty line; one without it was cut off and does not count.

    Parameters
    ----------
    indent
        What stands before an attribute: four blanks, and a tab from the commands for Slurm. Elsewhere a tab
        continues the line before.
    """
    attribute = re.compile(rf"{re.escape(indent)}([A-Za-z_][\w.-]*) = (.*)\Z", re.ASCII | re.DOTALL)
    jobs: Jobs = {}
    problems: list[str] = []
    current: str | None = None
    found: dict[str, str] = {}
    last: str | None = None
    for line in text.split("\n")[:-1]:
        if head := _HEAD.match(line):
            if current is not None:
                problems.append(f"job {current}: its part of qstat's answer is cut off")
            current, found, last = head[1], {}, None
        elif current is None:
            continue
        elif "Job Id:" in line and not attribute.match(line):  # a damaged head: whose lines these are is not known
            problems.append(f"job {current}: its part of qstat's answer is broken")
            current = None
        elif not line.strip():
            jobs[current] = dict(found)
            current = None
        elif match := attribute.match(line.rstrip("\r")):
            last = match[1].lower()
            if found.setdefault(last, match[2]) != match[2]:
                problems.append(f"job {current}: its part of qstat's answer contradicts itself")
                current = None
        elif line.startswith("\t") and last is not None and indent != "\t":
            found[last] += line[1:]
    if current is not None:
        problems.append(f"job {current}: its part of qstat's answer is cut off")
    return jobs, problems
