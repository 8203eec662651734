"""The SSH servers and the cluster of the test bed do what they promise, and end when they should."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from testbed import leftovers
from testbed.cluster import Cluster
from testbed.hostile import BANNER, COMPLAINT, hostile_login
from testbed.keeper import parents, running
from testbed.processes import MissingPart, Part, TestbedError, accepts, require
from testbed.sshd import SshSite

CHECKOUT = Path(__file__).resolve().parents[2]


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def has_account(name: str) -> bool:
    return name in {entry.pw_name for entry in pwd.getpwall()}


def addresses(part: Part) -> list[str]:
    return [address for pid in part.keeper.processes() for address in leftovers.listening(pid)]


def test_a_batch_job_by_sbatch_runs_over_ssh_and_its_exit_code_is_seen(cluster: Cluster) -> None:
    done = cluster.run("cd; sbatch --wait --parsable --output=/dev/null --wrap 'exit 3'")
    assert done.returncode == 3
    assert cluster.job(done.stdout.strip())["ExitCode"] == "3:0"


def test_a_batch_job_by_qsub_runs_over_ssh_with_the_variables_of_pbs(cluster: Cluster) -> None:
    script = "#!/bin/bash\n#PBS -l nodes=1:ppn=2,walltime=00:01:00\necho $PBS_JOBID $PBS_ENVIRONMENT\nexit 4\n"
    job_id = cluster.check(f"cd\ncat >a.pbs <<'EOF'\n{script}EOF\nqsub -N byqsub -o a.out -e a.err a.pbs").strip()
    assert eventually(lambda: cluster.job(job_id)["JobState"] == "FAILED")
    assert cluster.job(job_id)["ExitCode"] == "4:0"
    assert cluster.check("cat ~/a.out").split() == [job_id, "PBS_BATCH"]


def test_every_port_of_a_site_is_on_loopback(cluster: Cluster, plain_sshd: SshSite) -> None:
    found = addresses(cluster)
    # sshd, slurmctld and two nodes
    assert len(found) >= 4
    assert {address.split(":")[0] for address in found + addresses(plain_sshd)} == {"0100007F"}


def test_home_and_runtime_folder_belong_to_the_site(plain_sshd: SshSite) -> None:
    home, runtime = plain_sshd.check('echo "$HOME"; echo "$XDG_RUNTIME_DIR"; touch "$HOME/a"').split()
    assert Path(home) == plain_sshd.home
    assert (plain_sshd.home / "a").exists()
    assert Path(home).is_relative_to(plain_sshd.dir)
    assert Path(runtime).is_relative_to(plain_sshd.dir)


def test_another_host_key_is_refused(plain_sshd: SshSite, cluster: Cluster) -> None:
    plain_sshd.known_hosts.write_text(f"[127.0.0.1]:{plain_sshd.ssh_port} {cluster.host_key}\n")
    try:
        assert plain_sshd.run("echo hi").returncode == 255
    finally:
        plain_sshd.known_hosts.write_text(f"[127.0.0.1]:{plain_sshd.ssh_port} {plain_sshd.host_key}\n")
    assert plain_sshd.check("echo hi") == "hi\n"


def test_a_stopped_server_cuts_connections_but_not_what_they_started() -> None:
    with SshSite() as site:
        before, port = site.logins(), site.ssh_port
        argv = site.ssh_command("setsid sleep 300 </dev/null >/dev/null 2>&1 & echo $!; exec sleep 300")
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            client.stdout.readline()
            site.stop_sshd()
            assert client.wait(60) == 255
        assert not accepts(port)
        names = [parents()[pid][1] for pid in site.keeper.processes()]
        assert "sleep" in names
        assert "sshd" not in names
        site.start_sshd()
        assert site.ssh_port == port
        assert site.check("echo back") == "back\n"
        assert site.logins() == before + 2


def test_jobs_survive_a_restart_of_the_scheduler() -> None:
    with Cluster(nodes=1) as own:
        job_id = own.check("cd; sbatch --parsable --output=/dev/null --wrap 'sleep 300'").strip()
        assert eventually(lambda: own.job(job_id)["JobState"] == "RUNNING")
        own.stop_slurmctld()
        own.start_slurmctld()
        assert own.job(job_id)["JobState"] == "RUNNING"
        own.scancel_all()
        assert own.jobs() == []
        assert own.job(job_id)["JobState"] == "CANCELLED"


def names_of(pids: Iterable[int]) -> list[str]:
    """Names of those processes that are still there."""
    there = parents()
    return [there[pid][1] for pid in pids if pid in there]


def test_a_stopped_cluster_leaves_no_process_no_folder_and_no_account() -> None:
    with Cluster(nodes=1) as own:
        own.check("cd; sbatch --output=/dev/null --wrap 'setsid sleep 300 & exec sleep 300'")
        own.check("setsid sleep 300 </dev/null >/dev/null 2>&1 &")
        assert eventually(lambda: names_of(own.keeper.processes()).count("sleep") == 3)
        processes, folder, keeper = own.keeper.processes(), own.dir, own.keeper.pid
        temporary = own.user if os.geteuid() == 0 else None
        assert temporary is None or has_account(temporary)
    assert not {*processes, keeper} & running()
    assert not folder.exists()
    assert temporary is None or not has_account(temporary)
    own.stop()  # a second time does nothing


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_site_ends_when_its_owner_dies(number: int) -> None:
    program = (
        "import signal, time\nfrom testbed.sshd import SshSite\n"
        # A run in the background of a shell ignores Ctrl-C, and so would this child.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\nwith SshSite() as site:\n"
        " site.check('setsid sleep 300 </dev/null >/dev/null 2>&1 &')\n"
        " print(site.dir, site.user, site.keeper.pid, *site.keeper.processes(), flush=True)\n"
        " time.sleep(300)\n"
    )
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        assert owner.stdout is not None
        folder, user, *numbers = owner.stdout.readline().split()
        owner.send_signal(number)
        owner.wait(60)
    processes = {int(pid) for pid in numbers}
    assert len(processes) >= 3
    assert eventually(lambda: not processes & running())
    assert not Path(folder).exists()
    assert os.geteuid() != 0 or not has_account(user)


def test_a_hostile_login_prints_noise_and_misleads(hostile_site: SshSite) -> None:
    done = subprocess.run(
        hostile_site.ssh_command("cat /etc/passwd; echo $shell"), capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(BANNER)
    assert "aliased cat /etc/passwd" in done.stdout
    assert done.stdout.rstrip().endswith("csh")
    assert COMPLAINT in done.stderr


def test_bash_without_start_up_files_works_at_a_hostile_site(hostile_site: SshSite) -> None:
    done = hostile_site.run("value='a b'\nfor part in 1 2; do\n  printf '<%s %s>\\n' \"$value\" $part\ndone\nexit 7\n")
    assert done.returncode == 7
    assert done.stdout.startswith(BANNER)
    assert done.stdout.splitlines()[-2:] == ["<a b 1>", "<a b 2>"]


def test_a_hostile_site_has_no_sftp(hostile_site: SshSite) -> None:
    argv = hostile_site.ssh_command("sftp")
    argv.insert(1, "-s")
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "subsystem request failed" in done.stderr


def test_a_hostile_site_allows_two_sessions_per_connection(hostile_site: SshSite, tmp_path: Path) -> None:
    control = ["-o", "ControlMaster=auto", "-o", f"ControlPath={tmp_path}/c", "-o", "ControlPersist=no"]
    argv = hostile_site.ssh_command("echo ready; exec sleep 300")
    argv[1:1] = control
    holders = []
    try:
        for _ in range(2):
            holder = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            holders.append(holder)
            assert holder.stdout is not None
            while holder.stdout.readline() != "ready\n":
                assert holder.poll() is None
        third = hostile_site.ssh_command("echo ready")
        third[1:1] = [*control, "-o", "ProxyCommand=false"]  # no connection of its own
        assert subprocess.run(third, capture_output=True, check=False).returncode == 255
    finally:
        for holder in holders[::-1]:
            holder.kill()
            holder.communicate()


def test_a_cluster_with_a_hostile_login_runs_jobs() -> None:
    with Cluster(nodes=1, login=hostile_login()) as own:
        done = own.run("builtin cd ~ >/dev/null; sbatch --wait --output=job.out --wrap 'echo inside; exit 5'")
        assert done.returncode == 5
        assert done.stdout.startswith(BANNER)
        assert (own.home / "job.out").read_text().endswith("inside\n")


def test_an_ordinary_user_cannot_have_other_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    with pytest.raises(TestbedError, match="own account"):
        SshSite(users=2).start()


def test_a_missing_program_is_named_with_the_line_that_installs_it() -> None:
    with pytest.raises(MissingPart, match="no-such-program is missing; install it with: apt-get install nothing"):
        require("no-such-program", "apt-get install nothing")
