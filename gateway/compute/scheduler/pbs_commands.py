"""The commands of a PBS server: one small class each, its command line and the meaning of its answer."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.compute.scheduler import pbs_json, pbs_text
from gateway.compute.scheduler.answers import NO_ANSWER, Unreadable, by_name, short
from gateway.compute.scheduler.base import Command, Phase, QueryAnswer, SchedulerFacts, SchedulerJob
from gateway.compute.scheduler.pbs_state import JOB_ID, array_id, job_number, read_job
from gateway.errors import SchedulerError

OPENPBS, TORQUE, SLURM_TORQUE = "openpbs", "torque", "slurm-torque"

IDS_PER_CALL = 1000
_NOT_KNOWN = re.compile(r"unknown job ?id|has finished|maintain job history", re.IGNORECASE)
_OVER = re.compile(
    r"unknown job ?id|has finished|invalid state for job|request invalid for (job|state)|already done",
    re.IGNORECASE,
)
_ID = re.compile(rf"(?<![\w.]){JOB_ID}(?![\w\[])", re.ASCII)
_END = re.compile(r"\n?@qstat (\d+)\n")


def _said(stderr: str, meaning: re.Pattern[str]) -> dict[str, str]:
    """Return the ids (without server) of the lines of stderr that mean it, and each one's line."""
    lines = [line for line in stderr.split("\n") if meaning.search(line)]
    return {job_number(found): line.strip() for line in lines for found in _ID.findall(line)}


@dataclass(frozen=True)
class Detect(Command[SchedulerFacts]):
    """Find out whose commands qsub and qstat are."""

    def line(self) -> str:
        """See `Command`."""
        return (
            "for gw_program in qsub qstat qdel; do\n"
            '  gw_path=$(command -v "$gw_program") || { echo "missing $gw_program"; continue; }\n'
            '  if head -c 4096 "$gw_path" | tr -d "\\0" | grep -qi slurm; then echo "slurm $gw_program"; fi\n'
            "done\n"
            "qstat --version 2>&1 | head -n 5\n"
            "sbatch --version 2>/dev/null | head -n 1\n"
            "true"
        )

    def parse(self, stdout: str, stderr: str, exit_status: int) -> SchedulerFacts:
        """See `Command`."""
        if missing := re.findall(r"^missing (\w+)$", stdout, re.MULTILINE):
            raise SchedulerError(
                f"the target has no {', '.join(missing)}",
                hint="put the folder of qsub into the target's 'path'",
            )
        if re.search(r"^slurm q(sub|stat)$", stdout, re.MULTILINE):
            version = re.search(r"^slurm(?:-wlm)? (\d[\w.]*)$", stdout, re.MULTILINE)
            return SchedulerFacts(SLURM_TORQUE, version[1] if version else "")
        if match := re.search(r"pbs_version\s*=\s*(\S+)", stdout, re.IGNORECASE):
            major = re.match(r"(?:PBSPro_)?(\d{1,4})", match[1])
            old = major is not None and int(major[1]) < 14
            return SchedulerFacts(OPENPBS, match[1], {"json": "no"} if old else {})
        if match := re.search(r"^version:\s*(\S+)", stdout, re.IGNORECASE | re.MULTILINE):
            return SchedulerFacts(TORQUE, match[1])
        raise SchedulerError(f"qstat is of no known kind: {short(stdout + stderr, 200) or 'it told no version'}")


@dataclass(frozen=True)
class Query(Command[QueryAnswer]):
    """Ask ``qstat`` about many jobs.

    The end of each call's output is marked with its status. OpenPBS refuses ``-x`` where the history is
    switched off; the same call without it follows then.
    """

    ids: tuple[str, ...]
    facts: SchedulerFacts

    @property
    def _reads_json(self) -> bool:
        return self.facts.dialect == OPENPBS and self.facts.notes.get("json") != "no"

    @property
    def _asked(self) -> tuple[str, ...]:
        """Of an array all tasks are asked for at once, by its own id."""
        return tuple(dict.fromkeys(array_id(asked) for asked in self.ids))

    def line(self) -> str:
        """See `Command`."""
        lines = []
        for start in range(0, len(self._asked), IDS_PER_CALL):
            ids = shlex.join(self._asked[start : start + IDS_PER_CALL])
            lines.append(self._call(ids))
            lines.append("printf '\\n@qstat %d\\n' \"$gw_status\"")
        return "\n".join([*lines, '(exit "${gw_status:-0}")'])

    def _call(self, ids: str) -> str:
        form = "-f -F json" if self._reads_json else "-f"
        if "[]" in ids:
            form = f"-t {form}"
        if self.facts.dialect != OPENPBS:
            return f"qstat {form} {ids}\ngw_status=$?"
        return (
            f"{{ gw_error=$(qstat -x {form} {ids} 2>&1 >&3 3>&-); gw_status=$?; }} 3>&1\n"
            "printf '%s\\n' \"$gw_error\" >&2\n"
            "case $gw_error in *'maintain job history'*)\n"
            f"  qstat {form} {ids}\n  gw_status=$? ;;\nesac"
        )

    def parse(self, stdout: str, stderr: str, exit_status: int) -> QueryAnswer:
        """See `Command`. An id that is left out without a word is a problem, not an unknown id.

        Only the commands for Slurm have no words for it; there the answer must be whole.
        """
        marks = [int(status[:9]) for status in _END.findall(stdout)]
        statuses = marks or [exit_status]
        if NO_ANSWER.search(stderr):
            raise SchedulerError(f"qstat failed with status {exit_status}: {short(stderr)}")
        found, problems = self._read(_END.sub("\n", stdout), stderr, statuses)
        by_number = {job_number(shown): shown for shown in found}
        not_known = _said(stderr, _NOT_KNOWN)
        whole = len(marks) == -(-len(self._asked) // IDS_PER_CALL)
        silent = self.facts.dialect == SLURM_TORQUE and whole and not problems and (bool(found) or 153 in marks)
        jobs: dict[str, SchedulerJob] = {}
        unanswered: list[str] = []
        for asked in self.ids:
            shown = asked if asked in found else by_number.get(job_number(asked))
            if shown is not None:
                try:
                    job = read_job(asked, found[shown], torque=self.facts.dialect == TORQUE)
                    jobs[asked] = _held(job, found[shown]) if self.facts.dialect == SLURM_TORQUE else job
                except Unreadable as error:
                    unanswered.append(f"job {asked}: {error}")
            elif not silent and not {job_number(asked), job_number(array_id(asked))} & not_known.keys():
                unanswered.append(f"job {asked}: qstat said nothing readable about it")
        return QueryAnswer(jobs, tuple(unanswered + problems) if unanswered else ())

    def _read(
        self, stdout: str, stderr: str, statuses: Sequence[int]
    ) -> tuple[Mapping[str, Mapping[str, object]], list[str]]:
        strange = [status for status in statuses if status not in (0, 153, 35)]
        try:
            if self._reads_json:
                found, problems = pbs_json.read_jobs(stdout)
            else:
                indent = "\t" if self.facts.dialect == SLURM_TORQUE else "    "
                found, problems = pbs_text.read_jobs(stdout, indent)
        except SchedulerError as error:
            raise SchedulerError(f"{error.message}; {short(stderr)}" if stderr.strip() else error.message) from None
        if strange and not found:
            raise SchedulerError(f"qstat failed with status {strange[0]}: {short(stderr) or 'it said nothing'}")
        if strange:
            problems.append(f"qstat failed with status {strange[0]}: {short(stderr)}")
        return found, problems


def _held(job: SchedulerJob, attributes: Mapping[str, object]) -> SchedulerJob:
    """Tell what is held in Slurm: its qstat knows no such state, and shows priority 0."""
    if job.phase is Phase.QUEUED and str(attributes.get("priority")) == "0":
        return replace(job, phase=Phase.HELD)
    return job


@dataclass(frozen=True)
class FindByQselect(Command[Mapping[str, tuple[str, ...]]]):
    """Find own jobs by name with ``qselect``; OpenPBS looks into its history where it keeps one."""

    names: tuple[str, ...]
    history: bool

    def line(self) -> str:
        """See `Command`."""
        options = '-u "$(id -un)" -N "$gw_name"'
        call = f"qselect {options}"
        if self.history:
            call = f"{{ qselect -x {options} 2>/dev/null || qselect {options}; }}"
        return (
            f"for gw_name in {shlex.join(self.names)}; do\n"
            f"  gw_ids=$({call}) || exit\n"
            '  for gw_id in $gw_ids; do printf \'%s %s\\n\' "$gw_name" "$gw_id"; done\n'
            "done\necho '@end'"
        )

    def parse(self, stdout: str, stderr: str, exit_status: int) -> Mapping[str, tuple[str, ...]]:
        """See `Command`."""
        lines = stdout.rstrip().split("\n")
        if exit_status != 0 or lines[-1] != "@end":
            raise SchedulerError(f"qselect failed with status {exit_status}: {short(stderr) or 'it said nothing'}")
        pairs = [line.split(" ") for line in lines if line.count(" ") == 1]
        ids = [(name, array_id(found)) for name, found in pairs if re.fullmatch(JOB_ID, found, re.ASCII)]
        return by_name(self.names, ids)


@dataclass(frozen=True)
class FindByQstat(Command[Mapping[str, tuple[str, ...]]]):
    """Find own jobs by name in the list of all jobs: the commands for Slurm have no ``qselect``."""

    names: tuple[str, ...]

    def line(self) -> str:
        """See `Command`."""
        return "id -un && qstat -f"

    def parse(self, stdout: str, stderr: str, exit_status: int) -> Mapping[str, tuple[str, ...]]:
        """See `Command`. Status 153 without a word is an empty list."""
        user, _, text = stdout.partition("\n")
        jobs, problems = pbs_text.read_jobs(text, "\t")
        if exit_status not in (0, 153) or NO_ANSWER.search(stderr) or not user or problems:
            said = short(stderr) or "; ".join(problems) or "it said nothing"
            raise SchedulerError(f"qstat failed with status {exit_status}: {said}")
        pairs = [
            (str(attributes.get("job_name")), found)
            for found, attributes in jobs.items()
            if str(attributes.get("job_owner")).partition("@")[0] == user
        ]
        return by_name(self.names, pairs)


@dataclass(frozen=True)
class Cancel(Command[Mapping[str, str | None]]):
    """Delete jobs with ``qdel``: TERM, and KILL after the site's delay."""

    ids: tuple[str, ...]

    def line(self) -> str:
        """See `Command`."""
        return f"qdel {shlex.join(self.ids)}" if self.ids else "true"

    def parse(self, stdout: str, stderr: str, exit_status: int) -> Mapping[str, str | None]:
        """See `Command`. What is unknown or over needs no cancelling."""
        said = stdout + "\n" + stderr
        if exit_status != 0 and (exit_status in (126, 127) or NO_ANSWER.search(said)):
            raise SchedulerError(f"qdel failed with status {exit_status}: {short(said)}")
        refused = _said(said, re.compile(r"^(?!\s*$)"))
        over = _said(said, _OVER)
        answer = {asked: None if job_number(asked) in over else refused.get(job_number(asked)) for asked in self.ids}
        if exit_status != 0 and said.strip() and not any(job_number(asked) in refused for asked in self.ids):
            raise SchedulerError(f"qdel failed with status {exit_status}: {short(said)}")
        return answer
