"""Faults of the SSH server: gone, with another key, without a key of ours."""

from __future__ import annotations

import subprocess
import time

from testbed.cluster import Cluster
from testbed.sshd import SshSite
from tests.chaos.registry import scenario
from tests.chaos.scene import Scene
from tests.chaos.sound import assert_sound, states
from tests.e2e.running import wait_until


def own_site(scene: Scene) -> SshSite:
    """Start a machine without a batch system that the scenario may break, and a gateway that uses it."""
    site: SshSite = scene.keep(SshSite())
    scene.start(site=site, scheduler="direct")
    return site


@scenario(
    "sshd is restarted while a job runs",
    "The server and all its connections are killed; 2 s later it is back. The payload is a process of that machine.",
)
def restarted_while_running(scene: Scene) -> str:
    site = own_site(scene)
    job_id = scene.submit()
    scene.running(job_id)
    site.stop_sshd()
    time.sleep(2)
    site.start_sshd()
    scene.release()
    assert_sound(scene, job_id)
    return f"The payload lived on; the job went {' → '.join(states(scene.gateway, job_id))}."


@scenario("sshd is restarted while a job is submitted", "The server is killed while sbatch works, and is back at once.")
def restarted_while_submitting(scene: Scene) -> str:
    cluster: Cluster = scene.keep(Cluster(nodes=1))
    scene.start(site=cluster)
    scene.stop_at("sbatch", "*' --parsable '*")
    job_id = scene.submit(script=scene.payload(wait=False))
    scene.stopped()
    cluster.stop_sshd()
    cluster.start_sshd()
    scene.go_on()
    assert_sound(scene, job_id)
    return f"It went {' → '.join(states(scene.gateway, job_id))}."


@scenario(
    "the host key changes",
    "While a job runs, sshd comes back with another key; later with the right one, and a person checks the target.",
    quick=True,
)
def other_host_key(scene: Scene) -> str:
    site = own_site(scene)
    job_id = scene.submit()
    scene.running(job_id)
    key, kept = site.dir / "keys/host", site.dir / "keys/host.kept"
    site.stop_sshd()
    key.rename(kept)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, stdin=subprocess.DEVNULL
    )
    logins = site.logins()
    site.start_sshd()
    told = scene.wait_target("needs_login")
    assert "host key" in told["message"]
    connections = scene.proxy.connections
    time.sleep(3)
    assert (scene.proxy.connections, site.logins()) == (connections, logins), "it tried again by itself"
    assert scene.gateway.job(job_id)["state"] == "unknown"
    site.stop_sshd()
    kept.replace(key)
    site.start_sshd()
    time.sleep(1)
    assert scene.proxy.connections == connections
    assert all(probe["status"] != "failed" for probe in scene.check_target())
    scene.gateway.wait_state(job_id, "running")
    scene.release()
    assert_sound(scene, job_id)
    return "needs_login at once, no further connection, nobody logged in; after the check the job went on."


@scenario(
    "our key is not accepted any more",
    "While a job runs, the account's authorized keys are emptied and its connections end; later a person mends it.",
    quick=True,
)
def login_refused(scene: Scene) -> str:
    site = own_site(scene)
    job_id = scene.submit()
    scene.running(job_id)
    keys = site.dir / "keys" / f"{site.user}.authorized"
    kept = keys.read_text()
    keys.write_text("")
    scene.proxy.cut()
    scene.wait_target("needs_login")
    connections = scene.proxy.connections
    other = scene.submit(script=scene.payload(wait=False))
    time.sleep(4)
    assert scene.proxy.connections == connections, "it hammers"
    assert scene.gateway.job(job_id)["state"] == "unknown"
    assert scene.gateway.job(other)["state"] in ("accepted", "staging")
    keys.write_text(kept)
    scene.check_target()
    scene.gateway.wait_state(job_id, "running")
    scene.release()
    assert_sound(scene, job_id)
    assert_sound(scene, other)
    return "One refused login, then no connection in 4 s with two jobs waiting; after the check both went on."


@scenario(
    "sshd lets few in",
    "MaxStartups and MaxSessions are tiny: connections are dropped, channels refused, with 6 jobs at once.",
)
def narrow(scene: Scene) -> str:
    site: SshSite = scene.keep(SshSite(sshd_options={"MaxSessions": "2", "MaxStartups": "1:50:2"}))
    scene.start(site=site, scheduler="direct")
    ids = [scene.submit(script=scene.payload(wait=False)) for _ in range(6)]
    for job_id in ids:
        assert_sound(scene, job_id, seconds=150)
    wait_until(lambda: not scene.scheduler_jobs(), 20, "the end")
    return f"6 jobs over {scene.proxy.connections} connections."
