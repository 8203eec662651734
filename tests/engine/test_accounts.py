"""A person's jobs run on a target as the person's own account there, and nobody else's do."""

from __future__ import annotations

import subprocess
from pathlib import Path

from gateway.engine.sharing import shared_stores
from gateway.model.states import State
from gateway.model.users import NewUser
from testbed.sshd import SshSite


async def test_a_job_runs_with_the_account_of_its_owner(open_site, plain_sshd: SshSite, tmp_path: Path) -> None:
    other = tmp_path / "community"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    work = f"{plain_sshd.home}/of-{{username}}"
    ssh = {"kind": "ssh", "host": "127.0.0.1", "port": plain_sshd.ssh_port, "host_key": [plain_sshd.host_key]}
    target = {
        "poll_interval": 0.1,
        "workdir": work,
        "image_cache": f"{plain_sshd.home}/images",
        "transport": {**ssh, "username": plain_sshd.user, "key_file": str(other)},
        "runtime": {"allow_host": True},
        "accounts": {"alice": {"username": plain_sshd.user, "key_file": str(plain_sshd.client_key)}},
    }
    site = await open_site(targets={"here": target})
    await site.gateway.people.add_user(NewUser(name="alice"))
    await site.start()
    body = {"image": None, "script": "id -un >who", "sync": {"interval": None, "reserve": 20}}
    mine = await site.gateway.jobs.submit({**body, "resources": {"walltime": 120}}, "alice")
    theirs = await site.gateway.jobs.submit({**body, "resources": {"walltime": 120}}, "bob")
    row = await site.ended(mine.id)
    assert (row["lane"], row["target"], State(row["state"])) == ("here@alice", "here", State.SUCCEEDED)
    assert row["a_job_folder"] == f"{plain_sshd.home}/of-{plain_sshd.user}/{mine.id}"
    assert site.gateway.board["here@alice"].state == "ok"
    await site.wait(theirs.id, lambda _: site.gateway.board["here"].state == "needs_login")
    assert (await site.row(theirs.id))["state"] == State.ACCEPTED


async def test_stores_of_more_than_one_person_are_shared(open_site, tmp_path: Path) -> None:
    site = await open_site()
    gateway = site.gateway
    mine, hers = ({"id": "j", "owner": owner, "stores": list(gateway.stores)} for owner in (gateway.owner, "alice"))
    assert await shared_stores(gateway.database, gateway.settings, [mine]) == {"j": frozenset()}
    await gateway.people.add_user(NewUser(name="alice"))
    assert await shared_stores(gateway.database, gateway.settings, [mine]) == {"j": {"folder"}}
    alone = gateway.settings.model_copy(update={"store_people": {"folder": frozenset({"alice"})}})
    assert await shared_stores(gateway.database, alone, [hers]) == {"j": frozenset()}
