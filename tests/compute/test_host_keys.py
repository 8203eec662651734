"""Host keys and the pauses between connections, without a network."""

from __future__ import annotations

import base64
import struct
import subprocess
from pathlib import Path

import pytest

from gateway.compute.transport.breaker import Breaker
from gateway.compute.transport.channel_limit import ChannelLimit
from gateway.compute.transport.host_keys import HostKey, host_name, parse_host_key, read_known_hosts
from gateway.compute.transport.ssh_login import SshSettings, route
from gateway.errors import ConfigurationError, HostKeyChanged, LoginRefused, TargetUnreachable


def key(number: int) -> HostKey:
    blob = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + bytes([number]) * 32
    return HostKey("ssh-ed25519", blob)


A, B, C = key(1), key(2), key(3)


def test_the_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "k")], check=True)
    public = tmp_path / "k.pub"
    shown = subprocess.run(["ssh-keygen", "-l", "-f", str(public)], capture_output=True, text=True, check=True).stdout
    assert parse_host_key(public.read_text()).fingerprint in shown
    assert parse_host_key(public.read_text()).line in public.read_text()


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 !!!", f"ssh-rsa {base64.b64encode(A.blob).decode()}"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ssh-ed25519 AAAA"):
        parse_host_key(text)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("login.example.org", True),
        ("other,login.example.org", True),
        ("*.example.org", True),
        ("login?.example.org", False),
        ("*.example.org,!login.example.org", False),
        ("[login.example.org]:2222", False),
        ("LOGIN.example.org", True),
    ],
)
def test_names_of_known_hosts_mean_what_openssh_means(names: str, found: bool) -> None:
    assert read_known_hosts([f"{names} {A.line} comment"], "login.example.org").accepts(A) is found


def test_a_port_is_part_of_the_name() -> None:
    known = read_known_hosts([f"[h]:2222 {A.line}", f"h {B.line}"], host_name("h", 2222))
    assert known.accepts(A)
    assert not known.accepts(B)


def test_authorities_are_not_host_keys_and_revoked_ones_never_count() -> None:
    known = read_known_hosts(
        ["# comment", "", f"@cert-authority h {A.line}", f"h {B.line}", f"@revoked h {B.line}", f"h {C.line}"], "h"
    )
    assert [known.accepts(k) for k in (A, B, C)] == [False, False, True]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_pauses_grow_and_after_three_failures_calls_fail_at_once() -> None:
    clock = Clock()
    breaker = Breaker(clock, lambda: 0.999)
    pauses = []
    for failure in range(12):
        breaker.failed(TargetUnreachable("down"))
        if failure < 2:
            pauses.append(breaker.wait())
            continue
        with pytest.raises(TargetUnreachable, match="down"):
            breaker.wait()
        clock.now += 60
        assert breaker.wait() == 0
    assert pauses == sorted(pauses)
    assert 0 < pauses[0] < pauses[1] < 2
    breaker.succeeded()
    assert breaker.wait() == 0


@pytest.mark.parametrize("kind", [LoginRefused, HostKeyChanged])
def test_what_only_a_person_can_mend_is_not_tried_again(kind: type[TargetUnreachable]) -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed(kind("no"))
    clock.now += 1e6
    for _ in range(2):
        with pytest.raises(kind):
            breaker.wait()
    breaker.reset()
    assert breaker.wait() == 0


def test_settings_go_before_ssh_config_and_jumps_come_first(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "Host c\n HostName c.example.org\n User bob\n Port 2200\n ProxyJump eve@a:2201,b\n IdentityFile /k/c\n"
        "Host a\n HostName a.example.org\n ProxyJump z\nHost b\n User bb\n ProxyJump a\n"
    )
    settings = SshSettings(ssh_config="c", ssh_config_file=config, username="me", key_file=Path("/k/own"))
    hops = route(settings)
    assert [hop.name for hop in hops] == ["me@z", "eve@a.example.org:2201", "bb@b", "me@c.example.org:2200"]
    assert hops[-1].key_files == (Path("/k/own"),)


@pytest.mark.parametrize("text", ["Host a\n ProxyJump b\nHost b\n ProxyJump a\n", "Host a\n ProxyJump a\n"])
def test_a_circle_of_jumps_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(ConfigurationError, match="ProxyJump"):
        route(SshSettings(ssh_config="a", ssh_config_file=tmp_path / "config"))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"host": "-oProxyCommand=x"},
        {"host": "h", "host_key": ["x"]},
        {"host": "h", "username": "-l"},
        {"host": "h", "password": "p"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        SshSettings.model_validate({"kind": "ssh"} | wrong)


def test_the_limit_of_channels_falls_to_what_the_server_allows() -> None:
    limit = ChannelLimit(8)
    for _ in range(2):
        limit.opened()
    for _ in range(6):
        limit.refused(8)  # all six asked under the same limit: one step
    assert limit.limit == 4
    limit.refused(4)
    assert limit.limit == 2
    limit.refused(2)
    limit.refused(2)
    assert limit.limit == 2  # it has worked: the server may only be slow
    limit.closed()
    limit.opened()
    limit.refused(2)
    limit.refused(2)
    assert limit.limit == 2
    limit.refused(2)
    assert limit.limit == 1
    limit.refused(1)
    assert limit.limit == 1
