"""Starting, seeing and ending jobs on a plain machine, with bash and /proc only."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.compute.scheduler.answers import by_name, short
from gateway.compute.scheduler.base import Command, Phase, QueryAnswer, SchedulerFacts, SchedulerJob
from gateway.errors import SchedulerError
from gateway.model.states import Reason

ID = re.compile(r"([1-9]\d{0,9})\.(\d{1,20})\.([0-9a-f]{8})\Z", re.ASCII)
"""``<pid>.<start time in ticks since boot>.<first 8 hex digits of the boot id>``."""

# Sets gw_boot; gw_stat PID sets gw_fields to the fields of its stat from the third (state) on. The name
# before them may hold blanks and parentheses.
_PROC = """\
IFS= read -r gw_boot </proc/sys/kernel/random/boot_id || exit 3
gw_boot=${gw_boot//-/}
gw_boot=${gw_boot:0:8}
gw_stat() {
  local gw_line=
  gw_fields=()
  { IFS= read -r -d '' gw_line <"/proc/$1/stat"; } 2>/dev/null
  gw_line=${gw_line##*") "}
  # shellcheck disable=SC2206 # split on purpose: letters and numbers
  gw_fields=($gw_line)
}
"""
# Runs as the job's first process, which then becomes job.sh: so the id is published before the job begins,
# also when whoever asked is gone. A hard link replaces nothing: of two starts of a submission, one gives way.
_FIRST = (
    _PROC
    + """\
cd "$1" || exit 3
gw_stat "$$"
gw_id=$$.${gw_fields[19]}.$gw_boot
printf '%s\\n' "$gw_id" >"scheduler_id.$$" || exit 3
if ln -T "scheduler_id.$$" scheduler_id 2>/dev/null; then
  rm -f "scheduler_id.$$"
elif [ -s scheduler_id ]; then
  rm -f "scheduler_id.$$"
  cat scheduler_id
  exit
else
  mv -fT "scheduler_id.$$" scheduler_id || exit 3
fi
printf '%s\\n' "$gw_id"
export GW_SUBMISSION=$2.$$
for gw_fd in "/proc/$$/fd"/*; do
  gw_fd=${gw_fd##*/}
  if [ "$gw_fd" -gt 2 ]; then exec {gw_fd}>&-; fi
done
exec bash "$1/job.sh" >>scheduler.out 2>>scheduler.err
"""
)


@dataclass(frozen=True)
class Detect(Command[SchedulerFacts]):
    """Find out whether the machine has what `Direct` needs."""

    def line(self) -> str:
        """See `Command`."""
        return (
            'command -v setsid >/dev/null || echo "missing setsid"\n'
            '[ -r /proc/self/stat ] && [ -r /proc/sys/kernel/random/boot_id ] || echo "missing /proc"\n'
            "printf 'cpus %s\\n' \"$(nproc 2>/dev/null)\"\n"
            "while read -r gw_key gw_value _; do\n"
            '  if [ "$gw_key" = MemTotal: ]; then printf \'memory %s\\n\' "$((gw_value * 1024))"; fi\n'
            "done </proc/meminfo\n"
            "gw_gpus=0\n"
            'for gw_file in /dev/nvidia[0-9]*; do if [ -c "$gw_file" ]; then gw_gpus=$((gw_gpus + 1)); fi; done\n'
            "printf 'gpus %s\\n' \"$gw_gpus\"\n"
            "grep -qs '^KillUserProcesses=yes' /etc/systemd/logind.conf && echo 'logout kills'\n"
            "uname -sr"
        )

    def parse(self, stdout: str, stderr: str, exit_status: int) -> SchedulerFacts:
        """See `Command`."""
        if missing := re.findall(r"^missing (\S+)$", stdout, re.MULTILINE):
            raise SchedulerError(
                f"the target has no {' and no '.join(missing)}", hint="it must be Linux with util-linux"
            )
        version = re.search(r"^(Linux \S+)$", stdout, re.MULTILINE)
        if exit_status != 0 or version is None:
            raise SchedulerError(f"the target told no kernel: {short(stdout + stderr, 200) or 'it said nothing'}")
        notes = dict(re.findall(r"^(cpus|memory|gpus) ([0-9]{1,18})$", stdout, re.MULTILINE))
        if re.search(r"^logout kills$", stdout, re.MULTILINE):
            notes["logout_kills"] = "yes"
        return SchedulerFacts("direct", version[1], notes)


@dataclass(frozen=True)
class Submit(Command[str]):
    """Start ``job.sh`` in a session of its own, with no descriptor and no process group of the asker's."""

    name: str
    control_folder: str
    nice: int = 0

    def line(self) -> str:
        """See `Command`. The substitution ends when the first process has let go of its standard output."""
        control = shlex.quote(self.control_folder)
        start = shlex.join(
            [
                *(("nice", "-n", str(self.nice)) if self.nice else ()),
                "setsid",
                "bash",
                "--noprofile",
                "--norc",
                "-c",
                _FIRST,
                "gateway",
                self.control_folder,
                self.name,
            ]
        )
        return (
            f"if [ -s {control}/scheduler_id ]; then\n  cat {control}/scheduler_id\nelse\n"
            f"  gw_id=$(set +m; {start} </dev/null 2>>{control}/scheduler.err &)\n"
            f'  if [ -n "$gw_id" ]; then printf \'%s\\n\' "$gw_id"\n'
            f"  else tail -n 5 {control}/scheduler.err >&2; (exit 1); fi\nfi"
        )

    def parse(self, stdout: str, stderr: str, exit_status: int) -> str:
        """See `Command`."""
        for line in reversed(stdout.split("\n")):
            if ID.match(line):
                return line
        raise SchedulerError(f"the job could not be started: {short(stdout + stderr) or 'the machine said nothing'}")


@dataclass(frozen=True)
class Query(Command[QueryAnswer]):
    """Look at the processes of many jobs, without starting one."""

    ids: tuple[str, ...]

    def line(self) -> str:
        """See `Command`."""
        return (
            _PROC + "printf 'boot %s\\n' \"$gw_boot\"\n"
            f"for gw_id in {shlex.join(self.ids)}; do\n"
            '  gw_stat "${gw_id%%.*}"\n'
            '  printf \'%s %s %s\\n\' "$gw_id" "${gw_fields[0]:--}" "${gw_fields[19]:--}"\n'
            "done\necho '@end'"
        )

    def parse(self, stdout: str, stderr: str, exit_status: int) -> QueryAnswer:
        """See `Command`. No process with this number and start time (or a zombie): it has ended."""
        boot = re.search(r"^boot ([0-9a-f]{8})$", stdout, re.MULTILINE)
        if exit_status != 0 or boot is None or not stdout.rstrip().endswith("\n@end"):
            raise SchedulerError(
                f"the machine's processes cannot be read: {short(stderr) or 'the answer is not whole'}"
            )
        seen = {cells[0]: cells[1:] for line in stdout.split("\n") if len(cells := line.split(" ")) == 3}
        jobs: dict[str, SchedulerJob] = {}
        problems: list[str] = []
        for asked in self.ids:
            parts = ID.match(asked)
            if parts is None or not _SHOWN.match(" ".join(seen.get(asked, ()))):
                problems.append(f"job {asked}: {'not an id of this scheduler' if parts is None else 'no answer'}")
                continue
            jobs[asked] = _judge(asked, parts, seen[asked], boot[1])
        return QueryAnswer(jobs, tuple(problems))


_SHOWN = re.compile(r"(?:[A-Za-z] \d{1,20}|- -)\Z", re.ASCII)
"""State and start time of a process, or that there is none."""


def _judge(asked: str, parts: re.Match[str], seen: list[str], boot: str) -> SchedulerJob:
    if parts[3] != boot:
        words = "the machine was started again"
        return SchedulerJob(asked, Phase.ENDED, reason=Reason.NODE_FAILED, comment=words)
    state, started = seen
    alive = started == parts[2] and state not in ("Z", "X", "x")
    return SchedulerJob(asked, Phase.RUNNING if alive else Phase.ENDED)


@dataclass(frozen=True)
class Find(Command[Mapping[str, tuple[str, ...]]]):
    """Find the first processes of jobs by their environment: ``GW_SUBMISSION=<name>.<own pid>``."""

    names: tuple[str, ...]

    def line(self) -> str:
        """See `Command`."""
        return (
            _PROC + "for gw_dir in /proc/[0-9]*; do\n"
            '  [ -O "$gw_dir" ] && [ -r "$gw_dir/environ" ] || continue\n'
            "  gw_pid=${gw_dir#/proc/}\n"
            "  while IFS= read -r -d '' gw_variable; do\n"
            "    case $gw_variable in\n"
            '      GW_SUBMISSION=*."$gw_pid")\n'
            "        gw_name=${gw_variable#GW_SUBMISSION=}\n"
            '        gw_stat "$gw_pid"\n'
            '        printf \'%s %s\\n\' "${gw_name%.*}" "$gw_pid.${gw_fields[19]:--}.$gw_boot" ;;\n'
            "    esac\n"
            '  done 2>/dev/null <"$gw_dir/environ"\n'
            "done 2>/dev/null\necho '@end'"
        )

    def parse(self, stdout: str, stderr: str, exit_status: int) -> Mapping[str, tuple[str, ...]]:
        """See `Command`."""
        lines = stdout.rstrip().split("\n")
        if exit_status != 0 or lines[-1] != "@end":
            raise SchedulerError(
                f"the machine's processes cannot be read: {short(stderr) or 'the answer is not whole'}"
            )
        pairs = [line.split(" ") for line in lines if line.count(" ") == 1]
        return by_name(self.names, [(name, found) for name, found in pairs if ID.match(found)])


@dataclass(frozen=True)
class Cancel(Command[Mapping[str, str | None]]):
    """Send TERM to the first process of jobs, or KILL to everything that they started.

    Attributes
    ----------
    kill
        KILL the first process, its session, its descendants, and what carries its mark in the environment.
    """

    ids: tuple[str, ...]
    kill: bool = False

    def line(self) -> str:
        """See `Command`."""
        return (
            _PROC
            + (_KILL if self.kill else _TERM)
            + f"for gw_id in {shlex.join(self.ids)}; do\n"
            + '  case $gw_id in *."$gw_boot") gw_end "$gw_id" ;; *) printf \'%s gone\\n\' "$gw_id" ;; esac\n'
            + "done\necho '@end'"
        )

    def parse(self, stdout: str, stderr: str, exit_status: int) -> Mapping[str, str | None]:
        """See `Command`."""
        if exit_status != 0 or not f"\n{stdout.rstrip()}".endswith("\n@end"):
            raise SchedulerError(f"the jobs could not be ended: {short(stderr) or 'the answer is not whole'}")
        said = dict(line.split(" ", 1) for line in stdout.split("\n") if " " in line)
        over = ("sent", "gone")
        return {asked: None if said.get(asked) in over else said.get(asked, "no answer") for asked in self.ids}


_TERM = """\
gw_end() {
  gw_pid=${1%%.*}
  gw_stat "$gw_pid"
  if [ "$gw_pid.${gw_fields[19]:--}.$gw_boot" != "$1" ]; then
    printf '%s gone\\n' "$1"
  elif gw_words=$(kill -TERM "$gw_pid" 2>&1); then
    printf '%s sent\\n' "$1"
  else
    printf '%s %s\\n' "$1" "${gw_words//$'\\n'/ }"
  fi
}
"""
# In rounds, because a process may have started another meanwhile. A stopped first process starts nothing new.
_KILL = """\
gw_marked() {
  local gw_variable
  while IFS= read -r -d '' gw_variable; do
    case $gw_variable in GW_SUBMISSION=gw-*."$2") return 0 ;; esac
  done 2>/dev/null <"/proc/$1/environ"
  return 1
}
gw_tree() {
  local gw_dir gw_other gw_all=
  gw_parents=()
  gw_found=()
  for gw_dir in /proc/[0-9]*; do
    [ -O "$gw_dir" ] || continue
    gw_other=${gw_dir#/proc/}
    [ "$gw_other" -ne "$$" ] || continue
    gw_stat "$gw_other"
    case ${gw_fields[0]:-Z} in Z | X | x) continue ;; esac
    gw_parents[gw_other]=${gw_fields[1]}
    if { [ "$2" = alive ] && { [ "$gw_other" = "$1" ] || [ "${gw_fields[3]}" = "$1" ]; }; } ||
      gw_marked "$gw_other" "$1"; then
      gw_found[gw_other]=1
    fi
  done 2>/dev/null
  while [ "$gw_all" != "${!gw_found[*]}" ]; do
    gw_all=${!gw_found[*]}
    for gw_other in "${!gw_parents[@]}"; do
      if [ -n "${gw_found[${gw_parents[gw_other]}]:-}" ]; then gw_found[gw_other]=1; fi
    done
  done
}
gw_end() {
  local gw_pid=${1%%.*} gw_state=over _
  gw_stat "$gw_pid"
  case $gw_pid.${gw_fields[19]:--}.$gw_boot in
    "$1") gw_state=alive; kill -STOP "$gw_pid" 2>/dev/null ;;
    *.-.*) ;;
    *) printf '%s gone\\n' "$1"; return ;;
  esac
  for _ in 1 2 3; do
    gw_tree "$gw_pid" "$gw_state"
    [ "${#gw_found[@]}" -gt 0 ] || break
    kill -KILL "${!gw_found[@]}" 2>/dev/null
  done
  printf '%s sent\\n' "$1"
}
"""
