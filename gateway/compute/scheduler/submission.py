"""Handing one submission to a batch scheduler, and what its answer means. Shared by PBS and Slurm."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from gateway.compute.scheduler.answers import NO_ANSWER, short
from gateway.compute.scheduler.base import Command
from gateway.errors import SchedulerError, SubmissionRejected

# Status 75 (EX_TEMPFAIL): the control folder is not there, and nothing was asked.
_LINE = """\
gw_control={control}
if [ -s "$gw_control/scheduler_id" ]; then
  cat "$gw_control/scheduler_id"
elif cd "$gw_control"; then
  gw_answer=$({words})
  gw_status=$?
  printf '%s\\n' "$gw_answer"
  gw_re=$'^(.*\\n)?'{pattern}$'(\\n.*)?$'
  if [[ $gw_answer =~ $gw_re ]]; then
    printf '%s\\n' "${{BASH_REMATCH[2]}}" >"scheduler_id.$$" && mv -fT "scheduler_id.$$" scheduler_id
  fi
  (exit "$gw_status")
else
  (exit 75)
fi"""

_NO_FOLDER = 75
_WRAPPED = re.compile(r"and the output was:\n'(.*)'\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Submit(Command[str]):
    """Submit ``job.sh``, unless ``scheduler_id`` tells that it was done; publish the id by rename.

    Attributes
    ----------
    words
        The scheduler's command.
    pattern
        Regular expression (in bash and in Python) of the line that tells the id; its first group is the id.
    silent_statuses
        Exit statuses after which nobody knows whether the job was taken.
    """

    words: tuple[str, ...]
    control_folder: str
    pattern: str
    silent_statuses: frozenset[int] = frozenset()

    def line(self) -> str:
        """See `Command`."""
        return _LINE.format(
            control=shlex.quote(self.control_folder),
            words=shlex.join(self.words),
            pattern=shlex.quote(self.pattern),
        )

    def parse(self, stdout: str, stderr: str, exit_status: int) -> str:
        """Return the id. It counts also after a failure: the wrappers may fail when the job is already in."""
        for line in reversed(stdout.split("\n")):
            if match := re.fullmatch(self.pattern, line.rstrip("\r"), re.ASCII):
                return str(match[1])
        program = self.words[0]
        wrapped = _WRAPPED.search(stdout)
        words = (wrapped[1] if wrapped else stdout) + "\n" + stderr
        said = short(words)
        if exit_status in (0, _NO_FOLDER):
            raise SchedulerError(f"{program} gave no job id: {said or 'it said nothing'}")
        if exit_status in (126, 127):
            hint = f"put the folder of {program} into the target's 'path'"
            raise SchedulerError(f"{program} could not be run on the target: {said}", hint=hint)
        killed = 128 < exit_status < 152
        if not said or killed or exit_status in self.silent_statuses or NO_ANSWER.search(words):
            raise SchedulerError(f"{program} failed with status {exit_status}: {said or 'it said nothing'}")
        raise SubmissionRejected(said)
