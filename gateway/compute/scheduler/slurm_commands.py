"""The commands of Slurm: one small class each, its command line and the meaning of its answer."""

from __future__ import annotations

import re
import shlex
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, starmap

from gateway.compute.scheduler.answers import NO_ANSWER, Unreadable, by_name, short
from gateway.compute.scheduler.base import Command, QueryAnswer, SchedulerFacts, SchedulerJob
from gateway.compute.scheduler.slurm_state import read_job
from gateway.errors import SchedulerError

IDS_PER_CALL = 5000
WIDTHS = {"JobArrayID": 24, "State": 24, "exit_code": 16, "Reason": 80, "Name": 64}
_FORMAT = ",".join(f"{field}:{width}" for field, width in WIDTHS.items())
_ME = '"$(id -un)"'
_END = re.compile(r"@(squeue|sacct) (\d+)\n")
_JOB_LINE = re.compile(r"\d+(_(\d+|\[[^]]*\]))? ", re.ASCII)
# With one id alone, squeue fails for an id that it does not know.
_UNKNOWN = "Invalid job id specified"


@dataclass(frozen=True)
class Detect(Command[SchedulerFacts]):
    """Find out the version, and whether ``sacct`` answers."""

    def line(self) -> str:
        """See `Command`."""
        return (
            "for gw_program in sbatch squeue scancel; do\n"
            '  command -v "$gw_program" >/dev/null || echo "missing $gw_program"\n'
            "done\n"
            "sbatch --version\n"
            "scontrol show config 2>/dev/null | grep -i '^MaxArraySize '\n"
            "sacct -n -X -S now >/dev/null 2>&1 && echo 'sacct yes'\n"
            "true"
        )

    def parse(self, stdout: str, stderr: str, exit_status: int) -> SchedulerFacts:
        """See `Command`."""
        if missing := re.findall(r"^missing (\w+)$", stdout, re.MULTILINE):
            raise SchedulerError(
                f"the target has no {', '.join(missing)}",
                hint="put the folder of sbatch into the target's 'path'",
            )
        version = re.search(r"^slurm\S* (\d[\w.]*)", stdout, re.MULTILINE)
        if version is None:
            raise SchedulerError(f"sbatch told no version: {short(stdout + stderr, 200) or 'it said nothing'}")
        sacct = "yes" if re.search(r"^sacct yes$", stdout, re.MULTILINE) else "no"
        notes = {"sacct": sacct}
        if found := re.search(r"^MaxArraySize\s*=\s*(\d{1,9})\s*$", stdout, re.MULTILINE | re.ASCII):
            notes["max_array"] = found[1]
        return SchedulerFacts("slurm", version[1], notes)


@dataclass(frozen=True)
class Query(Command[QueryAnswer]):
    """One ``squeue`` for the account's jobs; ``sacct`` for those it has forgotten, where that answers.

    Of an array all tasks are asked for at once, by its own id; ``-r`` gives each pending task a line of its own.
    """

    ids: tuple[str, ...]
    accounting: bool

    def line(self) -> str:
        """See `Command`."""
        if not self.ids:
            return "true"
        lines = []
        for start in range(0, len(self.ids), IDS_PER_CALL):
            ids = self.ids[start : start + IDS_PER_CALL]
            wanted = ",".join(dict.fromkeys(asked.partition("_")[0] for asked in ids))
            lines.append(f"gw_queue=$(squeue -h -r -t all -u {_ME} -j {shlex.quote(wanted)} -O {_FORMAT})")
            lines.append('gw_status=$?\nprintf \'%s\\n@squeue %d\\n\' "$gw_queue" "$gw_status"')
            if self.accounting:
                lines.append(self._forgotten(ids))
        return "\n".join([*lines, '(exit "${gw_status:-0}")'])

    @staticmethod
    def _forgotten(ids: tuple[str, ...]) -> str:
        return (
            "gw_ids=\n"
            f"for gw_id in {shlex.join(ids)}; do\n"
            "  case $'\\n'$gw_queue in *$'\\n'\"$gw_id \"*) ;; *) gw_ids=$gw_ids,$gw_id ;; esac\n"
            "done\n"
            'if [ -n "$gw_ids" ]; then\n'
            '  sacct -n -X -P -o JobID,State,ExitCode,JobName -j "${gw_ids#,}"\n'
            "  printf '\\n@sacct %d\\n' $?\n"
            "fi"
        )

    def parse(self, stdout: str, stderr: str, exit_status: int) -> QueryAnswer:
        """See `Command`. Where ``sacct`` failed, a job that is absent is a problem, not an unknown id."""
        if not self.ids:
            return QueryAnswer({})
        jobs: dict[str, SchedulerJob] = {}
        problems: list[str] = []
        asked = set(self.ids)
        words = "\n".join(line for line in stderr.split("\n") if _UNKNOWN not in line)
        only_unknown = _UNKNOWN in stderr and not words.strip()
        parts = list(_parts(stdout))
        calls = -(-len(self.ids) // IDS_PER_CALL)
        if [program for program, _, _ in parts].count("squeue") != calls:
            said = short(words) or "the answer is not whole"
            raise SchedulerError(f"squeue failed with status {exit_status}: {said}")
        for program, text, status in parts:
            if status != 0 and program == "sacct":
                problems.append(f"sacct failed with status {status}: {short(words)}")
            elif status != 0 and not only_unknown:
                raise SchedulerError(f"squeue failed with status {status}: {short(words) or 'it said nothing'}")
            lines = _squeue_lines(text, asked) if program == "squeue" else _sacct_lines(text, asked)
            for fields in lines:
                if fields[0] not in jobs:
                    try:
                        jobs[fields[0]] = read_job(*fields)
                    except Unreadable as error:
                        problems.append(f"job {fields[0]}: {error}")
        if asked - jobs.keys() and (line := _strange_line(parts)):
            problems.append(f"squeue printed {short(line, 100)!r}")
        if self.accounting and [program for program, _, _ in parts].count("sacct") < self._calls_of_sacct(parts):
            problems.append("the answer is cut off before the end of sacct's part")
        return QueryAnswer(jobs, tuple(problems) if asked - jobs.keys() else ())

    def _calls_of_sacct(self, parts: Sequence[tuple[str, str, int]]) -> int:
        """Count the calls of squeue that did not show all: each is followed by one of sacct."""
        shown = [{line.partition(" ")[0] for line in text.split("\n")} for name, text, _ in parts if name == "squeue"]
        chunks = [self.ids[start : start + IDS_PER_CALL] for start in range(0, len(self.ids), IDS_PER_CALL)]
        return sum(not found.issuperset(chunk) for chunk, found in zip(chunks, shown, strict=True))


def _parts(stdout: str) -> Iterator[tuple[str, str, int]]:
    """Yield (program, output, status) of each call: its mark follows its output."""
    pieces = _END.split(stdout)
    for text, program, status in zip(pieces[0::3], pieces[1::3], pieces[2::3], strict=False):
        yield program, text.removesuffix("\n"), int(status[:9])


_STARTS = tuple(accumulate(WIDTHS.values(), initial=0))
_COLUMNS = tuple(starmap(slice, pairwise(_STARTS)))


def _squeue_lines(text: str, asked: Container[str]) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield id, state, exit code, reason, name of those asked for; a line that was cut off has no state."""
    for line in text.split("\n"):
        scheduler_id = line[_COLUMNS[0]].rstrip()
        if scheduler_id in asked:
            state, code, why, name = (line[column].strip() for column in _COLUMNS[1:])
            yield scheduler_id, state if len(line) > _STARTS[4] else "", code, why, name


def _strange_line(parts: Sequence[tuple[str, str, int]]) -> str | None:
    """Return a line of squeue's that is about no job: then nobody knows what else it meant to say."""
    lines = (line for program, text, _ in parts if program == "squeue" for line in text.split("\n"))
    return next((line for line in lines if line.strip() and not _JOB_LINE.match(line)), None)


def _sacct_lines(text: str, asked: Container[str]) -> Iterator[tuple[str, str, str, str, str]]:
    for line in text.split("\n"):
        cells = line.split("|", 3)
        if len(cells) == 4 and cells[0] in asked:
            yield cells[0], cells[1], cells[2], "", cells[3]


@dataclass(frozen=True)
class Find(Command[Mapping[str, tuple[str, ...]]]):
    """Find own jobs by name, in the queue and in the accounts of the last month; of an array its own id."""

    names: tuple[str, ...]
    accounting: bool

    def line(self) -> str:
        """See `Command`."""
        names = shlex.quote(",".join(self.names))
        lines = [f"squeue -h -t all -u {_ME} -n {names} -o '%F|%j' || exit"]
        if self.accounting:
            lines.append(f"sacct -n -X -P -S now-31days -u {_ME} --name={names} -o JobID,JobName || exit")
        return "\n".join([*lines, "echo '@end'"])

    def parse(self, stdout: str, stderr: str, exit_status: int) -> Mapping[str, tuple[str, ...]]:
        """See `Command`."""
        lines = stdout.rstrip().split("\n")
        if exit_status != 0 or lines[-1] != "@end":
            raise SchedulerError(f"squeue failed with status {exit_status}: {short(stderr) or 'it said nothing'}")
        cells = [line.split("|", 1) for line in lines if re.match(r"\d+(_[^|]*)?\|", line, re.ASCII)]
        return by_name(self.names, [(name, found.partition("_")[0]) for found, name in cells])


@dataclass(frozen=True)
class Cancel(Command[Mapping[str, str | None]]):
    """Cancel jobs with ``scancel``: TERM to every process, and KILL after the site's delay."""

    ids: tuple[str, ...]

    def line(self) -> str:
        """See `Command`."""
        return f"scancel {shlex.join(self.ids)}" if self.ids else "true"

    def parse(self, stdout: str, stderr: str, exit_status: int) -> Mapping[str, str | None]:
        """See `Command`. What is unknown or over needs no cancelling."""
        said = {
            match[1]: match[0].strip()
            for match in re.finditer(r"^.*job id (\d+(?:_\d+)?)(?:_\S*)?: .*$", stderr, re.MULTILINE | re.ASCII)
        }
        over = re.compile(r"invalid job id|already complet", re.IGNORECASE)
        if exit_status != 0 and (NO_ANSWER.search(stderr) or not any(asked in said for asked in self.ids)):
            raise SchedulerError(f"scancel failed with status {exit_status}: {short(stderr) or 'it said nothing'}")
        return {asked: None if over.search(said.get(asked, "")) else said.get(asked) for asked in self.ids}
