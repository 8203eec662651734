"""A relay pass over SSH.

The gateway's own pass copies a job's folder from a login node (a real sshd) to a folder of its own: the source is the
transport's, the filters are the job's, and names, links and bounds of memory are looked after as always. Once for four
files of 128 MiB, once for 1,000 files of 4 KiB. The baseline is OpenSSH's own `sftp`, which gets the same folder with
one `get -r` over a connection of its own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import Comparison, rounds, timed
from gateway.compute.transport.ssh import SshTransport
from gateway.compute.transport.ssh_login import SshSettings
from gateway.settings import GatewaySettings
from gateway.storage.factory import build_store
from gateway.storage.filters import OutputRule, plan_transfers
from gateway.storage.relay import relay_pass
from gateway.storage.stores.base import Place, Store
from testbed.sshd import SshSite

MIB = 1024 * 1024
TREES = {"large": (4, 128 * MIB, "4 files of 128 MiB"), "small": (1000, 4096, "1,000 files of 4 KiB")}
REPEATS = 3


def _make_trees(site: SshSite) -> None:
    """Make the folders of the two jobs at the site."""
    noise = os.urandom(MIB)
    for name, (count, size, _) in TREES.items():
        folder = site.home / name
        folder.mkdir()
        for number in range(count):
            with (folder / f"field_{number:04d}").open("wb") as stream:
                for start in range(0, size, MIB):
                    stream.write(noise[: size - start])


async def _relay(transport: SshTransport, store: Store, data: Path, folder: str) -> float:
    """Copy a folder as a rescue does, to where nothing is yet."""
    shutil.rmtree(data / "outputs", ignore_errors=True)
    plan = plan_transfers((OutputRule("**"),), ())

    async def copy() -> None:
        source = await transport.relay_source(folder)
        result = await relay_pass(source, store, Place("job", "somebody"), plan, final=True)
        assert result.exit_status == 0, result.message

    return await timed(copy())


async def _sftp(site: SshSite, base: Path, folder: str) -> float:
    """Copy a folder with OpenSSH's client."""
    target = base / "bare"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    login = site.ssh_command()
    options = [*login[1 : login.index("-T")], "-o", f"User={site.user}"]
    options[options.index("-p")] = "-P"
    argv = ["sftp", *options, "-q", "-b", "-", "127.0.0.1"]

    async def copy() -> None:
        process = await asyncio.create_subprocess_exec(*argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        await process.communicate(f"get -r {folder} {target}\n".encode())
        assert process.returncode == 0

    return await timed(copy())


async def run() -> list[Comparison]:
    """Measure."""
    found = []
    with SshSite() as site, tempfile.TemporaryDirectory() as name:
        base = Path(name)
        _make_trees(site)
        settings = SshSettings.model_validate(
            {
                "kind": "ssh",
                "host": "127.0.0.1",
                "port": site.ssh_port,
                "username": site.user,
                "key_file": site.client_key,
                "host_key": [site.host_key],
            }
        )
        transport = SshTransport(settings, env={}, path=None, state_folder=base / "state")
        section = {"kind": "directory", "path": str(base / "data" / "outputs")}
        store = build_store("folder", section, GatewaySettings(data=base / "data"), {})
        try:
            for tree, (count, size, words) in TREES.items():
                folder = str(site.home / tree)
                runs = partial(_relay, transport, store, base / "data", folder), partial(_sftp, site, base, folder)
                gateway, baseline = await rounds(*runs, repeats=REPEATS)
                copied = sum(file.stat().st_size for file in (base / "data/outputs/job").iterdir() if file.is_file())
                assert copied == count * size
                unit = "MiB" if size >= MIB else "file"
                amount = count * size // MIB if size >= MIB else count
                found.append(Comparison(words, "sftp get -r", amount, unit, gateway, baseline))
        finally:
            await store.close()
            await transport.close()
    return found
