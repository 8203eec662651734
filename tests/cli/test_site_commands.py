"""Adding and checking a target that is a real machine behind SSH."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from testbed.sshd import SshSite

pytestmark = pytest.mark.real


def test_a_machine_is_added_and_checked(command: Any, config: Path, plain_sshd: SshSite) -> None:
    who = f"{plain_sshd.user}@127.0.0.1"
    options = ["--name", "vm", "--port", str(plain_sshd.ssh_port), "--key-file", str(plain_sshd.client_key)]
    before = config.read_text()

    refused = command("target", "add", who, *options)
    assert refused.status == 4
    assert "was not accepted" in refused.err
    assert config.read_text() == before

    added = command("target", "add", who, *options, "--yes")
    assert added.status == 0, added.err
    assert "SHA256:" in added.err
    assert config.read_text().startswith(before)
    written = tomllib.loads(config.read_text())["targets"]["vm"]
    assert written["transport"]["host_key"] == [plain_sshd.host_key]
    assert command("config", "check").status == 0

    again = command("target", "add", who, *options, "--yes")
    assert again.status == 2
    assert "vm" in again.err

    probes = {probe["name"]: probe for probe in command("target", "check", "vm", "--json").json["items"]}
    assert probes["rclone"]["status"] == "ok"
    # The scheduler is left out: a machine may have Slurm's commands and no cluster behind them.
    assert [name for name, probe in probes.items() if probe["status"] == "failed" and name != "scheduler"] == []


def test_a_machine_that_is_not_there_is_told(command: Any, plain_sshd: SshSite, config: Path) -> None:
    text = f'''
[targets.gone]
workdir = "/tmp/x"
[targets.gone.transport]
kind = "ssh"
host = "127.0.0.1"
port = 1
username = "x"
host_key = ["{plain_sshd.host_key}"]
key_file = "{plain_sshd.client_key}"
'''
    config.write_text(config.read_text() + text)
    said = command("target", "check", "gone")
    assert said.status == 4
    assert said.out.startswith("FAILED   ssh")
    assert "cannot be reached" in said.out
