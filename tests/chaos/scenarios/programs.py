"""The scheduler's own programs freeze, lie or fail when the job is already in the queue."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from tests.chaos.failing import FailingGateway
from tests.chaos.registry import add, scenario
from tests.chaos.scenarios.kills import ended
from tests.chaos.scene import Scene
from tests.chaos.sound import assert_sound
from tests.chaos.yard import Berth
from tests.e2e.running import wait_until

PROGRAMS = {"slurm": "sbatch", "pbs": "qsub"}
ODD = """
folder=@FOLDER@
case " $* " in *" --version "*) exec $real "$@" ;; esac
echo called >>"$folder/calls"
mv "$folder/mode" "$folder/mode.$$" 2>/dev/null || exec $real "$@"
read -r when how <"$folder/mode.$$"
# Waits as long as the scenario wants.
freeze() { touch "$folder/frozen"; while [ -e "$folder/frozen" ]; do sleep 0.1; done; }
if [ "$when" = before ]; then
  freeze
  exec $real "$@"
fi
answer=$($real "$@")
case $how in
  freeze) freeze; printf '%s\\n' "$answer" ;;
  error) echo 'error: the job could not be put into the queue' >&2; exit 1 ;;
  rubbish) echo 'Submitted, probably.' ;;
esac
exit
"""
"""Does once, before or after the real program's work, what the file ``mode`` says."""


class OddProgram:
    """A scheduler's submit command that freezes or lies once."""

    def __init__(self, scene: Scene, mode: str) -> None:
        self.berth: Berth = scene.berth
        scheduler = str(self.berth.section["scheduler"]["kind"])
        scene.wrap(PROGRAMS[scheduler], ODD.replace("@FOLDER@", str(self.berth.base)))
        self.arm(mode)

    def arm(self, mode: str) -> None:
        """Have the next call do what `mode` says."""
        self._file("mode").write_text(f"{mode}\n")

    def disarm(self) -> None:
        """Have the next calls do nothing odd, and let go what is frozen."""
        self._file("mode").unlink(missing_ok=True)
        self._file("frozen").unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.berth.base / name

    def frozen(self) -> None:
        """Wait until it is."""
        wait_until(self._file("frozen").exists, 60, "the freeze")

    def let_go(self) -> None:
        """Let it go on."""
        self._file("frozen").unlink()

    @property
    def calls(self) -> int:
        """How often it was called."""
        return len(self._file("calls").read_text().splitlines())


def lied(scene: Scene, mode: str, scheduler: str, **job: Any) -> str:
    """The program has submitted the job, and says something else."""
    scene.use(scheduler)
    program = OddProgram(scene, mode)
    job_id = scene.submit(**job)
    scene.running(job_id)
    scene.release()
    seen = ended(scene, job_id)
    assert program.calls == 1
    return seen


def let_go_late(scene: Scene, mode: str, scheduler: str) -> str:
    """The program freezes past every grace time, the gateway submits again, and the frozen one goes on."""
    scene.use(scheduler)
    program = OddProgram(scene, mode)
    job_id = scene.submit()
    program.frozen()
    scene.running(job_id)
    program.let_go()
    wait_until(lambda: program.calls == (2 if mode.startswith("before") else 1), 5, "the calls")
    time.sleep(3)  # the second submission begins, if there is a free node
    scene.release()
    return f"{ended(scene, job_id)}, after {program.calls} submissions"


for scheduler, program in PROGRAMS.items():
    for mode, how in (
        ("error", "exit status 1 and an error"),
        ("rubbish", "a sentence"),
        ("nothing", "nothing at all"),
    ):
        add(
            f"{program} submits the job, and answers with {how}",
            "its answer is replaced, once",
            partial(lied, mode=f"after {mode}", scheduler=scheduler),
            quick=(scheduler, mode) == ("slurm", "error"),
        )
    add(
        f"{program} freezes before it submits, past every grace time, and is let go when the job runs",
        "a program before the real one on the target's path; two submissions of one attempt follow",
        partial(let_go_late, mode="before freeze", scheduler=scheduler),
        quick=scheduler == "slurm",
    )
    add(
        f"{program} submits, freezes before it answers, and is let go when the job runs",
        "as above; the gateway finds the job by its name",
        partial(let_go_late, mode="after freeze", scheduler=scheduler),
    )


@scenario(
    "the gateway is killed while sbatch submits",
    "SIGKILL after the job is in the queue and before sbatch answers; then a new start",
)
def _(scene: Scene) -> str:
    failing = FailingGateway(scene)
    program = OddProgram(scene, "after freeze")
    job_id = scene.submit(stores=["project"], script=scene.payload(wait=False))
    program.frozen()
    failing.kill()
    program.let_go()
    failing.gateway.start()
    seen = ended(scene, job_id)
    assert program.calls == 1
    return seen


@scenario(
    "the gateway is killed while sbatch has not yet submitted",
    "SIGKILL before the job is in the queue, a new start; sbatch is let go when the job runs",
)
def _(scene: Scene) -> str:
    failing = FailingGateway(scene)
    program = OddProgram(scene, "before freeze")
    job_id = scene.submit(stores=["project"])
    program.frozen()
    failing.kill()
    failing.gateway.start()
    scene.running(job_id)
    program.let_go()
    time.sleep(3)
    scene.release()
    return f"{ended(scene, job_id)}, after {program.calls} submissions"


@scenario(
    "sbatch refuses the job for good",
    "exit status 1 and an error, and nothing is in the queue: the job fails, and says why",
)
def _(scene: Scene) -> str:
    scene.wrap("sbatch", 'case " $* " in *" --version "*) ;; *) echo "error: no such thing" >&2; exit 1 ;; esac')
    job_id = scene.submit()
    job = assert_sound(scene, job_id, state=("failed",), runs=0, outputs=("none",))
    assert (job["reason"], "no such thing" in job["message"]) == ("scheduler_rejected", True)
    return f"`failed` ({job['reason']}: {job['message']})"
