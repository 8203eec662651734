"""The ssh transport against real servers."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest

from gateway.compute.rclone_program import own_rclone
from gateway.compute.transport.base import RcloneRemote
from gateway.compute.transport.ssh import SshTransport
from gateway.errors import (
    HostKeyChanged,
    LoginRefused,
    RemoteCommandFailed,
    RemoteTimeout,
    TargetError,
    TargetUnreachable,
)
from testbed.sshd import SshSite

pytestmark = pytest.mark.real
MakeSsh = Callable[..., SshTransport]
# Goes up from bash to the sshd that serves this connection only.
KILL_CONNECTION = """
gw_p=$PPID
while [ "$(ps -o comm= -p "$gw_p")" != sshd ]; do gw_p=$(ps -o ppid= -p "$gw_p" | tr -d " "); done
kill -9 "$gw_p"; sleep 20
"""
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def rclone(remote: RcloneRemote, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"RCLONE_CONFIG": "/dev/null", "PATH": os.environ["PATH"], "HOME": "/nonexistent", **remote.environment("R")}
    argv = [str(own_rclone()), "--retries", "1", "--low-level-retries", "1", *arguments, f"R:{remote.root}"]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


async def test_a_script_runs_with_the_targets_variables_and_path(plain_sshd: SshSite, make_ssh: MakeSsh) -> None:
    transport = make_ssh(plain_sshd, env={"WORD": "it's"}, path="/opt/pbs/bin")
    answer = await transport.run('echo "$WORD" "${PATH%%:*}"; cat; exit 3', data=b"data")
    assert (answer.stdout, answer.exit_status) == (b"it's /opt/pbs/bin\ndata", 3)
    assert transport.username == plain_sshd.user


async def test_csh_and_its_noise_stay_outside_of_the_answer(hostile_site: SshSite, make_ssh: MakeSsh) -> None:
    transport = make_ssh(hostile_site)
    answer = await transport.run("printf 'a b\\n'; echo problem >&2; cd /usr/bin/..; pwd; exit 2")
    assert (answer.stdout, answer.stderr, answer.exit_status) == (b"a b\n/usr\n", b"problem\n", 2)
    assert b"hostile site" in answer.noise
    noise = next(probe for probe in await transport.probe() if probe.name == "login noise")
    assert noise.status == "warning"


async def test_twenty_at_once_find_their_way_through_two_sessions(hostile_site: SshSite, make_ssh: MakeSsh) -> None:
    transport = make_ssh(hostile_site)
    answers = await asyncio.gather(*(transport.run(f"sleep 0.05; echo {n}") for n in range(20)))
    assert [int(answer.stdout) for answer in answers] == list(range(20))
    assert transport.channel_limit <= 3  # learnt; one more may seem open while the server clears one away
    assert transport.connects == 1


async def test_many_who_ask_at_once_share_one_login(plain_sshd: SshSite, make_ssh: MakeSsh) -> None:
    before = plain_sshd.logins()
    transport = make_ssh(plain_sshd)
    await asyncio.gather(*(transport.run("true") for _ in range(20)))
    assert plain_sshd.logins() - before == 1


async def test_thirty_megabytes_arrive_byte_for_byte(plain_sshd: SshSite, make_ssh: MakeSsh) -> None:
    content = random.Random(7).randbytes(30_000_000)
    answer = await make_ssh(plain_sshd).run("sha256sum", data=io.BytesIO(content))
    assert answer.stdout[:64].decode() == hashlib.sha256(content).hexdigest()


async def test_much_output_on_both_streams_while_data_flows_in_does_not_lock(
    plain_sshd: SshSite, make_ssh: MakeSsh
) -> None:
    script = "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; cat >/dev/null"
    answer = await make_ssh(plain_sshd).run(script, data=b"x" * 5_000_000)
    assert (len(answer.stdout), len(answer.stderr)) == (1_000_000, 1_000_000)


async def test_data_that_nobody_reads_does_no_harm(plain_sshd: SshSite, make_ssh: MakeSsh) -> None:
    answer = await make_ssh(plain_sshd).run("echo early; exit 1", data=b"x" * 10_000_000)
    assert (answer.stdout, answer.exit_status) == (b"early\n", 1)


async def test_more_output_than_allowed_is_an_error(plain_sshd: SshSite, make_ssh: MakeSsh) -> None:
    with pytest.raises(RemoteCommandFailed, match=r"more than 1000 bytes"):
        await make_ssh(plain_sshd).run("head -c 2000 /dev/zero", max_output=1000)


async def test_a_background_process_does_not_hold_up_the_answer(plain_sshd: SshSite, make_ssh: MakeSsh) -> None:
    answer = await make_ssh(plain_sshd).run("sleep 3 & echo started", timeout=2.5)
    assert answer.stdout == b"started\n"


async def test_a_command_that_takes_too_long_is_killed(plain_sshd: SshSite, make_ssh: MakeSsh) -> None:
    transport = make_ssh(plain_sshd)
    with pytest.raises(RemoteTimeout):
        await transport.run("sleep 31.25", timeout=0.5)
    look = "for i in $(seq 50); do pgrep -x -f 'sleep 31.25' >/dev/null || { echo gone; exit; }; sleep 0.1; done"
    assert (await transport.run(look)).stdout == b"gone\n"
    assert transport.connects == 1


async def test_a_cancelled_call_gives_its_channel_back(plain_sshd: SshSite, make_ssh: MakeSsh) -> None:
    transport = make_ssh(plain_sshd)
    await transport.run("true")
    calls = [asyncio.create_task(transport.run("sleep 30")) for _ in range(transport.channel_limit)]
    await asyncio.sleep(0.3)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert (await transport.run("echo free", timeout=10)).stdout == b"free\n"


async def test_a_connection_killed_in_the_middle_is_a_time_out_and_the_next_call_connects(
    plain_sshd: SshSite, make_ssh: MakeSsh
) -> None:
    transport = make_ssh(plain_sshd)
    with pytest.raises(RemoteTimeout):
        await transport.run(f"echo begun; {KILL_CONNECTION}", timeout=15)
    assert (await transport.run("echo again")).stdout == b"again\n"
    assert transport.connects == 2


async def test_a_connection_that_died_between_two_calls_is_opened_again_in_silence(make_ssh: MakeSsh) -> None:
    with SshSite() as site:
        transport = make_ssh(site)
        await transport.run("true")
        site.stop_sshd()
        site.start_sshd()
        assert (await transport.run("echo again")).stdout == b"again\n"


async def test_a_server_that_is_down_is_left_alone_after_three_failures(make_ssh: MakeSsh) -> None:
    with SshSite() as site:
        transport = make_ssh(site)
        site.stop_sshd()
        for _ in range(6):
            with pytest.raises(TargetUnreachable, match=r"127\.0\.0\.1"):
                await transport.run("true")
        assert transport.connects == 3
        site.start_sshd()
        transport.reset()
        assert (await transport.run("echo up")).stdout == b"up\n"


async def test_another_host_key_is_refused_in_one_sentence(plain_sshd: SshSite, make_ssh: MakeSsh) -> None:
    before = plain_sshd.logins()
    transport = make_ssh(plain_sshd, host_key=(OTHER_KEY,))
    for _ in range(3):
        with pytest.raises(HostKeyChanged, match=r"shows a host key that is not configured: ssh-ed25519 SHA256:"):
            await transport.run("true")
    assert transport.connects == 1
    assert plain_sshd.logins() == before


async def test_one_of_several_host_keys_is_enough(plain_sshd: SshSite, make_ssh: MakeSsh) -> None:
    transport = make_ssh(plain_sshd, host_key=(OTHER_KEY, plain_sshd.host_key))
    assert (await transport.run("echo in")).stdout == b"in\n"


async def test_no_host_key_at_all_is_refused_with_the_way_out(plain_sshd: SshSite, make_ssh: MakeSsh) -> None:
    with pytest.raises(HostKeyChanged, match="no host key is configured") as caught:
        await make_ssh(plain_sshd, host_key=()).run("true")
    assert "gateway target add" in str(caught.value)


async def test_known_hosts_is_believed(plain_sshd: SshSite, make_ssh: MakeSsh, tmp_path: Path) -> None:
    hashed = tmp_path / "known_hosts"
    hashed.write_text(plain_sshd.known_hosts.read_text())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(hashed)], check=True, capture_output=True)
    assert "127.0.0.1" not in hashed.read_text()
    transport = make_ssh(plain_sshd, host_key=(), known_hosts=hashed)
    assert (await transport.run("echo in")).stdout == b"in\n"


async def test_a_refused_login_is_tried_once_until_somebody_acts(
    plain_sshd: SshSite, make_ssh: MakeSsh, tmp_path: Path
) -> None:
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(key)], check=True)
    transport = make_ssh(plain_sshd, key_file=key)
    for _ in range(3):
        with pytest.raises(LoginRefused, match="refused the login"):
            await transport.run("true")
    assert transport.connects == 1
    transport.reset()
    with pytest.raises(LoginRefused):
        await transport.run("true")
    assert transport.connects == 2


async def test_a_connection_that_breaks_while_the_login_is_sent_is_no_refusal(
    plain_sshd: SshSite, make_ssh: MakeSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: paramiko.Transport, *arguments: object) -> list[str]:
        raise EOFError  # the transport's own thread does not know yet

    transport = make_ssh(plain_sshd)
    with monkeypatch.context() as patch:
        patch.setattr(paramiko.Transport, "auth_publickey", broken)
        with pytest.raises(TargetUnreachable, match="the connection broke during login") as caught:
            await transport.run("true")
    assert not isinstance(caught.value, LoginRefused)
    assert (await transport.run("echo in")).stdout == b"in\n"


async def test_a_missing_key_file_is_named(plain_sshd: SshSite, make_ssh: MakeSsh, tmp_path: Path) -> None:
    with pytest.raises(LoginRefused, match="nokey does not exist"):
        await make_ssh(plain_sshd, key_file=tmp_path / "nokey").run("true")


async def test_a_key_with_a_passphrase_opens_with_the_secret_and_names_the_fix_without(
    plain_sshd: SshSite, make_ssh: MakeSsh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "locked"
    key.write_bytes(plain_sshd.client_key.read_bytes())
    key.chmod(0o600)
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)], check=True, capture_output=True
    )
    with pytest.raises(LoginRefused, match="passphrase"):
        await make_ssh(plain_sshd, key_file=key).run("true")
    monkeypatch.setenv("KEY_PASSPHRASE", "open sesame")
    transport = make_ssh(plain_sshd, key_file=key, passphrase={"env": "KEY_PASSPHRASE"})
    assert (await transport.run("echo in")).stdout == b"in\n"
    remote = await transport.relay_source("/")
    assert "sesame" not in str(remote)
    assert "tmp/" in rclone(remote, "lsf").stdout


async def test_an_agents_key_opens(
    plain_sshd: SshSite, make_ssh: MakeSsh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = f"/tmp/gw-agent-{os.getpid()}-{random.randrange(10**9)}"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if Path(socket).exists():
                break
            await asyncio.sleep(0.02)
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        subprocess.run(["ssh-add", "-q", str(plain_sshd.client_key)], check=True, capture_output=True)
        transport = make_ssh(plain_sshd, key_file=None, agent=True)
        assert (await transport.run("echo in")).stdout == b"in\n"
        await transport.close()
    finally:
        agent.kill()
        agent.wait()
        Path(socket).unlink(missing_ok=True)


async def test_a_certificate_opens(make_ssh: MakeSsh, tmp_path: Path) -> None:
    for name in ("ca", "me"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    public = Path(f"/tmp/gw-ca-{os.getpid()}-{random.randrange(10**9)}.pub")
    public.write_bytes((tmp_path / "ca.pub").read_bytes())
    try:
        with SshSite(sshd_options={"TrustedUserCAKeys": str(public)}) as site:
            sign = [
                "ssh-keygen",
                "-q",
                "-s",
                str(tmp_path / "ca"),
                "-I",
                "test",
                "-n",
                site.user,
                str(tmp_path / "me.pub"),
            ]
            subprocess.run(sign, check=True, capture_output=True)
            certificate = (tmp_path / "me-cert.pub").rename(tmp_path / "signed.pub")
            with pytest.raises(LoginRefused):
                await make_ssh(site, key_file=tmp_path / "me").run("true")
            transport = make_ssh(site, key_file=tmp_path / "me", certificate_file=certificate)
            assert (await transport.run("echo in")).stdout == b"in\n"
            assert "tmp/" in rclone(await transport.relay_source("/"), "lsf").stdout
    finally:
        public.unlink()


def jump_config(tmp_path: Path, jump: SshSite, target: SshSite, known: Path) -> Path:
    config = tmp_path / "config"
    (tmp_path / "more").write_text(f"Host door\n  HostName 127.0.0.1\n  Port {jump.ssh_port}\n  User {jump.user}\n")
    config.write_text(
        f"Include {tmp_path}/more\n"
        f"Host inner\n  HostName 127.0.0.1\n  Port {target.ssh_port}\n  User {target.user}\n  ProxyJump door\n"
        f"  IdentityFile {target.client_key}\nHost door\n  IdentityFile {jump.client_key}\n"
        f"Host *\n  UserKnownHostsFile {known}\n  IdentitiesOnly yes\n"
    )
    return config


async def test_a_target_behind_a_jump_host_is_reached_and_every_hosts_key_is_checked(
    plain_sshd: SshSite, hostile_site: SshSite, make_ssh: MakeSsh, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    config = jump_config(tmp_path, hostile_site, plain_sshd, known)
    plain = {"host": None, "port": None, "username": None, "key_file": None, "host_key": None}
    own = plain | {"ssh_config": "inner", "ssh_config_file": config}
    known.write_text(plain_sshd.known_hosts.read_text())
    with pytest.raises(HostKeyChanged, match=f":{hostile_site.ssh_port}"):
        await make_ssh(plain_sshd, **own).run("true")
    known.write_text(hostile_site.known_hosts.read_text())
    with pytest.raises(HostKeyChanged, match=f":{plain_sshd.ssh_port}"):
        await make_ssh(plain_sshd, **own).run("true")
    known.write_text(plain_sshd.known_hosts.read_text() + hostile_site.known_hosts.read_text())
    transport = make_ssh(plain_sshd, **own)
    assert (await transport.run("id -un")).stdout.decode().strip() == plain_sshd.user
    assert [hop.port for hop in transport.hops] == [hostile_site.ssh_port, plain_sshd.ssh_port]
    assert "tmp/" in rclone(await transport.relay_source("/"), "lsf").stdout


async def test_a_proxy_command_is_followed_and_ends_with_the_connection(
    plain_sshd: SshSite, make_ssh: MakeSsh, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    relay = tmp_path / "relay.py"
    relay.write_text(
        "import os, select, socket, sys\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "while True:\n"
        "    for r in select.select([s, 0], [], [])[0]:\n"
        "        b = s.recv(65536) if r is s else os.read(0, 65536)\n"
        "        if not b: sys.exit()\n"
        "        os.write(1, b) if r is s else s.sendall(b)\n"
    )
    config.write_text(
        f"Host far\n  HostName 127.0.0.1\n  Port {plain_sshd.ssh_port}\n  ProxyCommand python3 {relay} %h %p\n"
    )
    own = {"host": None, "port": None, "ssh_config": "far", "ssh_config_file": config}
    transport = make_ssh(plain_sshd, **own)
    assert (await transport.run("cat", data=b"x" * 300_000)).stdout == b"x" * 300_000
    await transport.close()
    assert subprocess.run(["pgrep", "-f", str(relay)], check=False, capture_output=True).stdout == b""


async def test_a_folder_is_relayed_by_sftp_with_the_host_key_checked(
    plain_sshd: SshSite, make_ssh: MakeSsh, tmp_path: Path
) -> None:
    transport = make_ssh(plain_sshd)
    await transport.run("mkdir -p ~/out && echo hello >~/out/a.txt")
    remote = await transport.relay_source(f"{plain_sshd.home}/out")
    assert rclone(remote, "lsf").stdout == "a.txt\n"
    known = Path(remote.options["known_hosts_file"])
    known.write_text(f"[127.0.0.1]:{plain_sshd.ssh_port} {OTHER_KEY}\n")
    assert rclone(remote, "lsf").returncode != 0


async def test_relay_is_refused_in_one_sentence_where_there_is_no_sftp(
    hostile_site: SshSite, make_ssh: MakeSsh
) -> None:
    with pytest.raises(TargetError, match="no SFTP subsystem, so outputs cannot be relayed: use a store"):
        await make_ssh(hostile_site).relay_source("/tmp")


async def test_nothing_leaks_over_many_calls(plain_sshd: SshSite, make_ssh: MakeSsh) -> None:
    transport = make_ssh(plain_sshd)
    await asyncio.gather(*(transport.run("true") for _ in range(20)))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(30):
        await transport.run("true")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
