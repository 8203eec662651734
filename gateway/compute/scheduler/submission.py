"""Handing one submission to a batch scheduler, and what its answer means. Shared by PBS and Slurm."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from gateway.compute.scheduler.answers import NO_ANSWER, short
from gateway.compute.scheduler.base import Command
from gateway.errors import SchedulerError, SubmissionRejected

# Status 75 (EX_TEMPFAIL): the control folder is not there, and nothing was asked. Where all went well, the process that
# ran the section ends as the `mv` that publishes the id: nothing is left to be done in it.
FUNCTIONS = """\
gw_submit() {
  local pattern=$1 control=$2 answer status part="scheduler_id.$BASHPID"
  shift 2
  if [ -s "$control/scheduler_id" ]; then
    cat "$control/scheduler_id"
    return
  fi
  cd "$control" || return 75
  answer=$("$@")
  status=$?
  printf '%s\\n' "$answer"
  pattern=$'^(.*\\n)?'$pattern$'(\\n.*)?$'
  if [[ $answer =~ $pattern ]] && printf '%s\\n' "${BASH_REMATCH[2]}" >"$part"; then
    [ "$status" != 0 ] || exec mv -fT "$part" scheduler_id
    mv -fT "$part" scheduler_id
  fi
  return "$status"
}"""

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
    functions: str = FUNCTIONS

    def call(self) -> str:
        """See `Command`."""
        return f"gw_submit {shlex.join((self.pattern, self.control_folder, *self.words))}"

    def line(self) -> str:
        """See `Command`."""
        return f"{FUNCTIONS}\n({self.call()})"

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
