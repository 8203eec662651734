"""Jobs as processes of this machine, for real."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scheduler_replay import ask, bash, summary

from gateway.compute.scheduler.base import Phase, SchedulerFacts, Submission
from gateway.compute.scheduler.direct import Direct, DirectSettings
from gateway.errors import SchedulerError
from gateway.model.specification import Resources

DIRECT = Direct(DirectSettings(kind="direct"))
FACTS = SchedulerFacts("direct")


class Started:
    """One job's control folder and submission."""

    def __init__(self, folder: Path, script: str) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "job.sh").write_text(script)
        self.submission = Submission(f"gw-{os.urandom(6).hex()}", str(folder), Resources())
        self.id = ask(DIRECT.submit(self.submission, FACTS))

    @property
    def pid(self) -> int:
        return int(self.id.split(".")[0])

    def phase(self) -> Phase:
        return ask(DIRECT.query([self.id], FACTS)).jobs[self.id].phase

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""


def wait_for(ready: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Started]]:
    made: list[Started] = []

    def begin(script: str) -> Started:
        made.append(Started(tmp_path / f"a b'$(x) {len(made)}", script))
        return made[-1]

    yield begin
    for started in made:
        ask(DIRECT.kill([started.id], FACTS))


WAIT = "trap 'echo term; exit 7' TERM; echo ready; sleep 600 & wait\n"
OWN_ID = """\
IFS= read -r stat </proc/$$/stat; set -- ${stat##*) }; read -r boot </proc/sys/kernel/random/boot_id
boot=${boot//-/}; echo "$$.${20}.${boot:0:8}"
"""


def test_the_machine_has_what_direct_needs() -> None:
    assert ask(DIRECT.detect()).version.startswith("Linux ")


def test_the_id_is_the_one_that_the_script_works_out_for_itself(start: Callable[[str], Started]) -> None:
    job = start(OWN_ID)
    wait_for(lambda: job.read("scheduler.out"))
    assert job.read("scheduler.out").strip() == job.id == job.read("scheduler_id").strip()


def test_a_job_is_running_until_its_process_has_ended(start: Callable[[str], Started]) -> None:
    job = start(WAIT)
    assert job.phase() is Phase.RUNNING
    wait_for(lambda: job.read("scheduler.out"))
    assert ask(DIRECT.cancel([job.id], FACTS)) == {job.id: None}
    wait_for(lambda: job.phase() is Phase.ENDED)
    assert job.read("scheduler.out") == "ready\nterm\n"
    assert summary(ask(DIRECT.query([job.id], FACTS))) == {job.id: ("ended", None, None)}
    assert ask(DIRECT.cancel([job.id], FACTS)) == {job.id: None}


def test_a_job_that_ends_at_once_still_has_an_id(start: Callable[[str], Started]) -> None:
    for _ in range(5):
        job = start("exit 0")
        wait_for(lambda job=job: job.phase() is Phase.ENDED)  # type: ignore[misc]


def test_a_second_start_of_the_same_submission_gives_the_same_job(start: Callable[[str], Started]) -> None:
    job = start(f"echo started\n{WAIT}")
    assert ask(DIRECT.submit(job.submission, FACTS)) == job.id
    wait_for(lambda: "ready" in job.read("scheduler.out"))
    assert job.read("scheduler.out").count("started") == 1


def test_two_starts_at_the_same_moment_run_one_job(start: Callable[[str], Started]) -> None:
    job = start(f"echo started\n{WAIT}")
    ask(DIRECT.kill([job.id], FACTS))
    (job.folder / "scheduler_id").unlink()
    (job.folder / "scheduler.out").unlink()
    line = DIRECT.submit(job.submission, FACTS).line()
    race = "\n".join(f"( {line}\n) >{shlex.quote(str(job.folder))}/answer{number} &" for number in range(8))
    bash(f"{race}\nwait")
    answers = {(job.folder / f"answer{number}").read_text() for number in range(8)}
    job.id = job.read("scheduler_id").strip()
    assert answers == {f"{job.id}\n"}
    wait_for(lambda: "ready" in job.read("scheduler.out"))
    assert job.read("scheduler.out").count("started") == 1


def test_a_job_survives_the_death_of_all_that_started_it(tmp_path: Path, start: Callable[[str], Started]) -> None:
    folder = tmp_path / "control"
    folder.mkdir()
    (folder / "job.sh").write_text("ls -l /proc/$$/fd >&2\n" + WAIT)
    submission = Submission("gw-0123456789ab", str(folder), Resources())
    inherited = f"exec 5</dev/null 7>{shlex.quote(str(folder / 'inherited'))}"
    line = f"{inherited}\n{DIRECT.submit(submission, FACTS).line()}\nsleep 600"
    starter = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-s"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert starter.stdin
    assert starter.stdout
    starter.stdin.write(line.encode() + b"\n")
    starter.stdin.flush()
    scheduler_id = starter.stdout.readline().decode().strip()
    try:
        os.killpg(starter.pid, signal.SIGHUP)
        os.killpg(starter.pid, signal.SIGKILL)
        # The streams end although the job lives: it holds none of them.
        assert starter.communicate(timeout=60) == (b"", b"")
        wait_for(lambda: "ready" in (folder / "scheduler.out").read_text())
        assert ask(DIRECT.query([scheduler_id], FACTS)).jobs[scheduler_id].phase is Phase.RUNNING
        assert "inherited" not in (folder / "scheduler.err").read_text()
        pid = int(scheduler_id.split(".")[0])
        assert os.getsid(pid) == os.getpgid(pid) == pid
    finally:
        ask(DIRECT.kill([scheduler_id], FACTS))


def test_another_process_with_the_number_of_the_job_is_not_the_job(start: Callable[[str], Started]) -> None:
    job = start(WAIT)
    pid, started, boot = job.id.split(".")
    earlier = f"{pid}.{int(started) - 1}.{boot}"
    assert ask(DIRECT.query([earlier], FACTS)).jobs[earlier].phase is Phase.ENDED
    assert ask(DIRECT.cancel([earlier], FACTS)) == {earlier: None}
    assert ask(DIRECT.kill([earlier], FACTS)) == {earlier: None}
    assert job.phase() is Phase.RUNNING


def test_a_job_from_before_a_restart_of_the_machine_ended_with_it(start: Callable[[str], Started]) -> None:
    job = start(WAIT)
    before = f"{job.id.rpartition('.')[0]}.00000000"
    assert summary(ask(DIRECT.query([before], FACTS))) == {before: ("ended", None, "node_failed")}
    ask(DIRECT.kill([before], FACTS))
    assert job.phase() is Phase.RUNNING


def test_a_zombie_has_ended(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    wait_for(lambda: ") Z " in Path(f"/proc/{child.pid}/stat").read_text())
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")[:8]
    scheduler_id = f"{child.pid}.{fields[19]}.{boot}"
    assert ask(DIRECT.query([scheduler_id], FACTS)).jobs[scheduler_id].phase is Phase.ENDED
    child.wait()


def test_a_program_with_parentheses_and_blanks_in_its_name_is_read_right(tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 (b"
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([str(program), "600"])
    try:
        wait_for(lambda: ") S 1 (b)" in Path(f"/proc/{child.pid}/stat").read_text())
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")[:8]
        scheduler_id = f"{child.pid}.{fields[19]}.{boot}"
        assert ask(DIRECT.query([scheduler_id], FACTS)).jobs[scheduler_id].phase is Phase.RUNNING
    finally:
        child.kill()
        child.wait()


def test_a_running_job_is_found_by_name_and_its_children_are_not(start: Callable[[str], Started]) -> None:
    job = start(f"bash -c 'sleep 600; :' job.sh &\nsetsid sleep 600 &\n{WAIT}")
    wait_for(lambda: "ready" in job.read("scheduler.out"))
    names = [job.submission.name, "gw-00000000ffff"]
    assert ask(DIRECT.find(names, FACTS)) == {job.submission.name: (job.id,)}


def alive(pids: list[int]) -> list[int]:
    states = {pid: Path(f"/proc/{pid}/stat") for pid in pids}
    return [pid for pid, stat in states.items() if stat.exists() and ") Z " not in stat.read_text()]


TREE = """\
trap '' TERM
sleep 600 & echo $!
setsid bash -c 'sleep 600 & echo $!; echo $$; wait' &
(setsid sleep 600 & echo $!)
env -i setsid sleep 600 & echo $!
echo ready
wait
"""


@pytest.mark.parametrize("first_is_dead", [False, True])
def test_kill_reaches_everything_that_the_job_started(start: Callable[[str], Started], first_is_dead: bool) -> None:
    job = start(TREE if not first_is_dead else TREE.replace("env -i ", ""))
    wait_for(lambda: len(job.read("scheduler.out").split()) == 6)
    pids = [int(word) for word in job.read("scheduler.out").split() if word.isdigit()]
    assert len(alive(pids)) == 5
    if first_is_dead:
        os.kill(job.pid, signal.SIGKILL)
        wait_for(lambda: job.phase() is Phase.ENDED)
    assert ask(DIRECT.kill([job.id], FACTS)) == {job.id: None}
    wait_for(lambda: alive([*pids, job.pid]) == [])


def test_a_job_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    missing = Submission("gw-0123456789ab", str(tmp_path / "missing"), Resources())
    with pytest.raises(SchedulerError, match="could not be started"):
        ask(DIRECT.submit(missing, FACTS))


def test_many_jobs_are_looked_at_with_nothing_but_bash_itself() -> None:
    ids = [f"{number}.1.0123abcd" for number in range(1, 1001)]
    command = DIRECT.query(ids, FACTS)
    assert not {"$(", "`", "|"} & set(command.line().replace("$(", " $( ").split())
    stdout, stderr, status = bash(f"PATH=/nonexistent\n{command.line()}")
    assert (status, stderr) == (0, "")
    assert len(command.parse(stdout, stderr, status).jobs) == 1000


def test_an_answer_about_processes_that_was_cut_off_is_an_error() -> None:
    with pytest.raises(SchedulerError):
        DIRECT.query(["1.1.0123abcd"], FACTS).parse("boot 0123abcd\n", "", 0)
