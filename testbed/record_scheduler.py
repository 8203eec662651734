"""Make the recordings of Slurm and of its Torque commands anew: ``python -m testbed.record_scheduler`` as root.

It starts a cluster of its own. Each recording is ``{name: {command, stdout, stderr, exit_status}}``; names of accounts
and folders are replaced. OpenPBS's were made elsewhere: there is no Debian package of it. With the word ``arrays`` only
those of arrays are made, which takes some seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.compute.scheduler.base import Command, Scheduler, SchedulerFacts, Submission
from gateway.compute.scheduler.pbs import Pbs, PbsSettings
from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.model.specification import Resources
from testbed.cluster import Cluster

FOLDER = Path(__file__).resolve().parent.parent / "tests/compute/scheduler/recordings"
WAIT = "sleep 600 & wait"


class Recorder:
    """Runs a scheduler's commands as one of the cluster's people and keeps what came back."""

    def __init__(self, cluster: Cluster, scheduler: Scheduler, facts: SchedulerFacts) -> None:
        self.cluster, self.scheduler, self.facts = cluster, scheduler, facts
        self.kept: dict[str, dict[str, Any]] = {}
        self.serial = 0

    def keep(self, name: str, line: str, user: int = 0) -> str:
        """Run a line as a person and keep what came back; return its output."""
        argv = ["runuser", "-u", self.cluster.users[user], "--", "/bin/bash", "--noprofile", "--norc", "-s"]
        done = subprocess.run(
            argv, input=line, env=self.cluster.env, capture_output=True, text=True, check=False, cwd="/"
        )
        entry = {"command": line, "stdout": done.stdout, "stderr": done.stderr, "exit_status": done.returncode}
        self.kept[name] = {key: self._plain(value) for key, value in entry.items()}
        return done.stdout

    def _plain(self, value: Any) -> Any:
        if isinstance(value, str):
            value = value.replace(str(self.cluster.dir), "/cluster")
            for user, plain in zip(self.cluster.users, ("alice", "bob"), strict=False):
                value = value.replace(user, plain)
        return value

    def submit(self, name: str, script: str, *directives: str, user: int = 0, folder: str | None = None) -> str:
        """Submit a script with further directives; return what the scheduler answered."""
        account = self.cluster.accounts[user]
        self.serial += 1
        control = account.home / (folder or f"c{self.serial}")
        if folder is None:
            control.mkdir()
            (control / "job.sh").write_text("\n".join(["#!/bin/bash", *directives, script, ""]))
            subprocess.run(["chown", "-R", account.name, str(control)], check=True)
        submission = Submission(f"gw-{self.serial:012x}", str(control), Resources())
        answer = self.keep(name, self.scheduler.submit(submission, self.facts).line(), user)
        return answer.strip()

    def run(self, name: str, command: Command[Any], user: int = 0) -> None:
        """Run a scheduler's command and keep its answer."""
        self.keep(name, command.line(), user)

    def query(self, name: str, ids: Sequence[str]) -> None:
        """Ask about jobs and keep the answer."""
        self.run(name, self.scheduler.query(ids, self.facts))

    def until(self, job: str, *states: str) -> None:
        """Wait until Slurm shows a job in one of the states."""
        while self.cluster.job(job).get("JobState") not in states:
            time.sleep(0.1)


def record(recorder: Recorder, prefix: str) -> None:
    """Go through what a job can meet."""
    r = recorder
    r.run("detect", r.scheduler.detect())
    r.query("empty_unknown", ["999999"])
    ok = r.submit("submit", "exit 0")
    three = r.submit("submit_exit3", "exit 3")
    killed = r.submit("submit_killed", "kill -9 $$")
    running = r.submit("submit_running", WAIT)
    timed = r.submit("submit_walltime", WAIT, "#SBATCH --time=1")
    held = r.submit("submit_held", WAIT, "#SBATCH --hold")
    waiting = r.submit("submit_begin", WAIT, "#SBATCH --begin=now+1hour")
    depends = r.submit("submit_dependency", WAIT, f"#SBATCH --dependency=afterok:{running}")
    broken = r.submit("submit_dependency_broken", WAIT, f"#SBATCH --dependency=afterok:{three}")
    queued = r.submit("submit_queued", WAIT, "#SBATCH --nodes=2 --exclusive")
    for job in (ok, three, killed):
        r.until(job, "COMPLETED", "FAILED")
    r.until(running, "RUNNING")
    r.until(broken, "CANCELLED")
    names = {"finished_ok": ok, "finished_exit3": three, "finished_killed": killed, "running": running}
    names |= {"held": held, "begin": waiting, "dependency": depends, "dependency_broken": broken, "queued": queued}
    for name, job in names.items():
        r.query(name, [job])
    r.query("mixed", [ok, running, "999999"])
    r.query("unknown", ["999999"])
    r.query("unknown_two", ["999998", "999999"])
    r.run("find", r.scheduler.find(["gw-000000000001", "gw-000000000004", "gw-00000000ffff"], r.facts))
    rejections(r, prefix)
    r.run("cancel_other_user", r.scheduler.cancel([running], r.facts), user=1)
    r.run("cancel_running", r.scheduler.cancel([running], r.facts))
    r.run("cancel_queued", r.scheduler.cancel([queued], r.facts))
    r.run("cancel_unknown", r.scheduler.cancel(["999999"], r.facts))
    r.run("cancel_finished", r.scheduler.cancel([ok, three], r.facts))
    for job in (running, queued):
        r.until(job, "CANCELLED")
    time.sleep(3)
    r.query("cancelled_running", [running])
    r.query("cancelled_queued", [queued])
    r.until(timed, "TIMEOUT")
    r.query("walltime", [timed])
    r.cluster.stop_slurmctld()
    r.query("down_query", [running, queued])
    r.submit("down_submit", "exit 0")
    r.run("down_cancel", r.scheduler.cancel([running], r.facts))
    r.run("down_find", r.scheduler.find(["gw-000000000001"], r.facts))


def rejections(r: Recorder, prefix: str) -> None:
    """Submit what Slurm refuses, and where it cannot be asked."""
    options = {
        "queue": {"#PBS": "-q nosuch", "#SBATCH": "--partition=nosuch"},
        "cpus": {"#PBS": "-l nodes=1:ppn=100", "#SBATCH": "--cpus-per-task=100"},
        "memory": {"#PBS": "-l mem=999999mb", "#SBATCH": "--mem=999999M"},
        "walltime": {"#PBS": "-l walltime=999:00:00", "#SBATCH": "--time=999:00:00"},
        "gpus": {"#PBS": "-l nodes=1:ppn=1:gpus=1", "#SBATCH": "--gres=gpu:1"},
        "option": {"#PBS": "-Z nosuch", "#SBATCH": "--nosuch=1"},
    }
    for name, option in options.items():
        r.submit(f"rejected_{name}", "exit 0", f"{prefix} {option[prefix]}")
    r.submit("no_folder", "", folder="c1/../c2/missing")
    (r.cluster.accounts[0].home / "empty").mkdir(mode=0o777)
    (r.cluster.accounts[0].home / "empty").chmod(0o777)
    r.submit("rejected_no_file", "", folder="empty")


def record_arrays(recorder: Recorder) -> None:
    """Go through what an array can meet: its tasks end each in its own way, and its parent's status proves nothing."""
    r = recorder
    held = r.submit("submit_held", WAIT, "#SBATCH --hold", "#SBATCH --array=0-2")
    tasks = r.submit("submit", 'exit "$SLURM_ARRAY_TASK_ID"', "#SBATCH --array=0-2")
    running = r.submit("submit_running", WAIT, "#SBATCH --array=0-1")
    while r.cluster.job(f"{tasks}_2").get("JobState") != "FAILED":
        time.sleep(0.1)
    while r.cluster.job(f"{running}_1").get("JobState") != "RUNNING":
        time.sleep(0.1)
    for name, job, count in (("held", held, 3), ("ended", tasks, 3), ("running", running, 2)):
        r.query(name, [f"{job}_{index}" for index in range(count)])
    r.query("mixed", [f"{tasks}_1", f"{running}_0", f"{tasks}_7", "999999_0"])
    r.run("find", r.scheduler.find(["gw-000000000002"], r.facts))
    r.run("cancel_one", r.scheduler.cancel([f"{running}_0"], r.facts))
    while r.cluster.job(f"{running}_0").get("JobState") != "CANCELLED":
        time.sleep(0.1)
    time.sleep(3)
    r.query("cancelled_one", [f"{running}_0", f"{running}_1"])
    r.run("cancel_all", r.scheduler.cancel([f"{running}_1", f"{held}_0"], r.facts))


def main() -> None:
    """Make the recordings."""
    kinds: list[tuple[str, str, Scheduler, SchedulerFacts]] = [
        ("slurm", "#SBATCH", Slurm(SlurmSettings(kind="slurm")), SchedulerFacts("slurm", "22.05.8", {"sacct": "no"})),
        ("slurm-torque", "#PBS", Pbs(PbsSettings(kind="pbs")), SchedulerFacts("slurm-torque", "22.05.8")),
    ]
    with Cluster(users=1) as cluster:
        recorder = Recorder(cluster, kinds[0][2], kinds[0][3])
        record_arrays(recorder)
        text = json.dumps(recorder.kept, indent=1, sort_keys=True) + "\n"
        (FOLDER / "slurm-arrays-22.05.json").write_text(text)
    for name, prefix, scheduler, facts in kinds if sys.argv[1:] != ["arrays"] else []:
        with Cluster(users=2) as cluster:
            recorder = Recorder(cluster, scheduler, facts)
            record(recorder, prefix)
        text = json.dumps(recorder.kept, indent=1, sort_keys=True) + "\n"
        (FOLDER / f"{name}-22.05.json").write_text(text)


if __name__ == "__main__":
    main()
