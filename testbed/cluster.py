"""A real batch cluster on one machine: sshd, munge, slurmctld, slurmd nodes, and the Torque commands."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.processes import SYSTEM_PATH, MissingPart, TestbedError, accepts, free_ports, require
from testbed.sshd import Login, SshSite

CLUSTER_PACKAGES = (
    "apt-get install --no-install-recommends openssh-server openssh-client munge "
    "slurmctld slurmd slurm-client slurm-wlm-basic-plugins slurm-wlm-torque"
)


class Cluster(SshSite):
    """A cluster whose nodes are daemons of this machine.

    Parameters
    ----------
    users, login, sshd_options
        See `SshSite`.
    nodes
        Number of nodes: n1, n2, …
    cpus, memory_mb
        What each node claims to have; it may exceed the machine.
    kill_wait
        Seconds between SIGTERM and SIGKILL for a job that ends early.
    min_job_age
        Seconds that the scheduler remembers a job that has ended.

    Attributes
    ----------
    conf
        The cluster's ``slurm.conf``; remote commands find it by ``SLURM_CONF``.
    partitions
        Queue names: ``batch`` (the default, up to a day) and ``debug`` (5 minutes, one node).
    """

    partitions = ("batch", "debug")

    def __init__(
        self,
        users: int | Sequence[str] = 1,
        *,
        nodes: int = 2,
        cpus: int = 4,
        memory_mb: int = 4000,
        login: Login | None = None,
        sshd_options: Mapping[str, str | None] | None = None,
        kill_wait: int = 2,
        min_job_age: int = 300,
    ) -> None:
        super().__init__(users, login=login, sshd_options=sshd_options)
        self.nodes = [f"n{number}" for number in range(1, nodes + 1)]
        self._cpus, self._memory_mb = cpus, memory_mb
        self._kill_wait, self._min_job_age = kill_wait, min_job_age

    @property
    def conf(self) -> Path:
        """The cluster's ``slurm.conf``."""
        return self.dir / "slurm.conf"

    @property
    def env(self) -> dict[str, str]:
        """Environment of a local command that speaks to this cluster."""
        return {"PATH": SYSTEM_PATH, "SLURM_CONF": str(self.conf)}

    def _start(self) -> None:
        daemons = {name: require(name, CLUSTER_PACKAGES) for name in ("munged", "slurmctld", "slurmd")}
        for command in ("sbatch", "sinfo", "scancel", "qsub"):
            require(command, CLUSTER_PACKAGES)
        self._daemons = daemons
        for folder in ("state", "munge", "log"):
            (self.dir / folder).mkdir()
        self._configure()
        self._start_munge()
        self._spawn_slurmctld("-c")
        for node in self.nodes:
            (self.dir / f"spool.{node}").mkdir()
            self.keeper.start(node, [daemons["slurmd"], "-D", "-N", node], self.env)
        self._start_ssh({"SLURM_CONF": str(self.conf)})
        self._wait_for_nodes({"idle"})

    def _start_munge(self) -> None:
        munge = self.dir / "munge"
        key = munge / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        arguments = {
            "key-file": key,
            "socket": munge / "s",
            "pid-file": munge / "pid",
            "seed-file": munge / "seed",
        }
        arguments["log-file"] = self.dir / "log" / "munged.log"
        options = [f"--{option}={path}" for option, path in arguments.items()]
        self.keeper.start("munged", [self._daemons["munged"], "-F", "--force", *options])
        self.keeper.wait("munged", (munge / "s").exists)

    def _configure(self) -> None:
        """Write slurm.conf and what it points to."""
        prolog = self.dir / "taskprolog"
        prolog.write_text('#!/bin/sh\necho "export PBS_ENVIRONMENT=PBS_BATCH"\n')
        prolog.chmod(0o755)
        (self.dir / "plugstack.conf").write_text(f"required {_pbs_plugin()}\n")
        host = socket.gethostname()
        self._control_port, *ports = free_ports(1 + len(self.nodes))
        lines = self._settings(host)
        lines += [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
            f"CPUs={self._cpus} RealMemory={self._memory_mb}"
            for node, port in zip(self.nodes, ports, strict=True)
        ]
        lines += [
            f"PartitionName=batch Nodes={','.join(self.nodes)} Default=YES MaxTime=24:00:00 "
            "DefaultTime=00:10:00 State=UP",
            f"PartitionName=debug Nodes={self.nodes[0]} MaxTime=00:05:00 State=UP",
        ]
        self.conf.write_text("\n".join(lines) + "\n")

    def _settings(self, host: str) -> list[str]:
        me, top = pwd.getpwuid(os.geteuid()).pw_name, self.dir
        settings = {
            "ClusterName": "test",
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmUser": me,
            "SlurmdUser": me,
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={top}/munge/s",
            "SlurmctldPort": self._control_port,
            # How long a command tries before it says that there is no scheduler.
            "MessageTimeout": 5,
            "MaxJobCount": 30000,
            "StateSaveLocation": f"{top}/state",
            "SlurmdSpoolDir": f"{top}/spool.%n",
            "SlurmctldPidFile": f"{top}/slurmctld.pid",
            "SlurmdPidFile": f"{top}/slurmd.%n.pid",
            "SlurmctldLogFile": f"{top}/log/slurmctld.log",
            "SlurmdLogFile": f"{top}/log/slurmd.%n.log",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "MpiDefault": "none",
            # Loopback only.
            "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
            "JobAcctGatherType": "jobacct_gather/none",
            "AccountingStorageType": "accounting_storage/none",
            "JobCompType": "jobcomp/filetxt",
            "JobCompLoc": f"{top}/log/jobcomp.txt",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_CPU",
            "SchedulerType": "sched/backfill",
            "SchedulerParameters": "sched_min_interval=1,batch_sched_delay=1,sched_interval=1,bf_interval=1",
            # Nodes may claim more processors than the machine has.
            "SlurmdParameters": "config_overrides",
            "ReturnToService": 2,
            "EnforcePartLimits": "ALL",
            "DependencyParameters": "kill_invalid_depend",
            "KillWait": self._kill_wait,
            "MinJobAge": self._min_job_age,
            # Both are needed for the PBS_* variables of the Torque commands.
            "JobSubmitPlugins": "pbs",
            "PlugStackConfig": f"{top}/plugstack.conf",
            "TaskProlog": f"{top}/taskprolog",
        }
        return [f"{key}={value}" for key, value in settings.items()]

    def _spawn_slurmctld(self, *options: str) -> None:
        self.keeper.start("slurmctld", [self._daemons["slurmctld"], "-D", *options], self.env)

    def _states(self) -> list[str]:
        done = self.command("sinfo", "-h", "-N", "-o", "%T")
        return done.stdout.split() if done.returncode == 0 else []

    def _wait_for_nodes(self, wanted: set[str]) -> None:
        def ready() -> bool:
            for node in self.nodes:
                if not self.keeper.alive(node):
                    log = self.dir / "log" / f"slurmd.{node}.log"
                    text = log.read_text() if log.exists() else self.keeper.log(node)
                    raise TestbedError(f"slurmd {node} died: {text[-2000:]}")
            # Commands that find no scheduler sleep before they try again: look for its port first.
            states = self._states() if accepts(self._control_port) else []
            return bool(states) and wanted.issuperset(states)

        self.keeper.wait("slurmctld", ready)

    def command(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a scheduler command on this machine, as the cluster's administrator."""
        return subprocess.run(argv, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def start_slurmctld(self) -> None:
        """Start the scheduler again, with the jobs it knew, and wait until its nodes are back."""
        self._spawn_slurmctld()
        self._wait_for_nodes({"idle", "mixed", "allocated", "completing"})

    def stop_slurmctld(self) -> None:
        """Stop the scheduler: its commands fail, jobs that run go on."""
        self.keeper.stop("slurmctld", timeout=10)

    def jobs(self) -> list[str]:
        """Return the ids of jobs that wait or run."""
        return self.command("squeue", "-h", "-o", "%A").stdout.split()

    def scancel_all(self) -> None:
        """Cancel every job and wait until none is left."""
        self.command("scancel", "-f", "-u", ",".join(self.users))
        self.keeper.wait("slurmctld", lambda: not self.jobs())

    def job(self, job_id: str) -> dict[str, str]:
        """Return what ``scontrol show job`` says about a job, by field."""
        text = self.command("scontrol", "-o", "show", "job", job_id).stdout
        return dict(word.split("=", 1) for word in text.split() if "=" in word)


def _pbs_plugin() -> Path:
    """Return the plugin that gives jobs of the Torque commands their variables."""
    # The folder above it names the machine's architecture.
    for candidate in sorted(Path("/usr/lib").glob("*/slurm*/spank_pbs.so")):
        return candidate
    raise MissingPart(f"spank_pbs.so is missing; install it with: {CLUSTER_PACKAGES}")
