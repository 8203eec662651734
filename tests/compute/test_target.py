"""Targets put together, checked and adopted, on real machines."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.compute.adopt import Proposal, ShownKey, propose, read_site, write_target
from gateway.compute.check import check_target
from gateway.compute.target import Target, absolute, build_target
from gateway.compute.tools import bring_rclone, look_answer, own_program
from gateway.compute.transport.base import CommandResult
from gateway.compute.transport.local import LocalTransport
from gateway.errors import ConfigurationError, HostKeyChanged, StagingFailed
from gateway.settings import GatewaySettings, TargetSettings, load, parse
from testbed.sshd import SshSite

BuildTarget = Callable[..., Target]


@pytest.fixture
async def build(tmp_path: Path) -> AsyncIterator[BuildTarget]:
    """Build targets of a data folder of this test's own."""
    made: list[Target] = []

    def make(**section: object) -> Target:
        settings = TargetSettings.model_validate(section)
        made.append(build_target("t", settings, GatewaySettings(data=tmp_path / "data")))
        return made[-1]

    yield make
    for target in made:
        await target.close()


def ssh_section(site: SshSite) -> dict[str, object]:
    return {
        "kind": "ssh",
        "host": "127.0.0.1",
        "port": site.ssh_port,
        "username": site.user,
        "key_file": str(site.client_key),
        "host_key": [site.host_key],
    }


async def test_the_default_target_works_in_the_data_folder(build: BuildTarget, tmp_path: Path) -> None:
    target = build()
    paths = await target.paths()
    assert paths.workdir == f"{tmp_path}/data/work"
    assert paths.control_root == f"{tmp_path}/data/work/.gateway"
    assert paths.tools == f"{tmp_path}/data/work/.gateway/tools"
    assert paths.image_cache == f"{tmp_path}/data/images"
    assert [runtime.kind for runtime in target.runtimes] == [
        "apptainer",
        "singularity",
        "charliecloud",
        "podman",
        "docker",
    ]
    assert not target.allow_host
    await target.make_folders()
    assert (tmp_path / "data/work/.gateway").stat().st_mode & 0o777 == 0o700


@pytest.mark.real
async def test_home_and_username_are_those_of_the_target(build: BuildTarget, plain_sshd: SshSite) -> None:
    target = build(workdir="~/w/{username}", image_cache="$HOME/images", transport=ssh_section(plain_sshd))
    paths = await target.paths()
    assert paths.workdir == f"{plain_sshd.home}/w/{plain_sshd.user}"
    assert paths.image_cache == f"{plain_sshd.home}/images"


@pytest.mark.parametrize("folder", ["relative", "~other/x", "/a/../b", "$SCRATCH/x", "/a\nb", ""])
def test_a_folder_that_is_not_absolute_in_the_end_is_refused(folder: str) -> None:
    with pytest.raises(ConfigurationError, match=r"targets\.t\.workdir"):
        absolute(folder, "/home/me", "targets.t.workdir")


def test_every_mistake_of_a_section_is_named(build: BuildTarget) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(
            transport={"kind": "ssh", "host": "h", "prt": 1},
            scheduler={"kind": "lsf"},
            runtime={"kind": "auto", "x": 1},
        )
    assert [error.pointer for error in caught.value.errors] == [
        "targets.t.transport.prt",
        "targets.t.scheduler.kind",
        "targets.t.runtime.x",
    ]


async def test_rclone_is_brought_once_however_many_ask(local: LocalTransport, tmp_path: Path) -> None:
    tools = f"{tmp_path}/tool s"
    paths = await asyncio.gather(*(bring_rclone(local, tools) for _ in range(5)))
    other = LocalTransport(local.settings, env={}, path=None, state_folder=tmp_path)
    paths.append(await bring_rclone(other, tools))
    assert set(paths) == {own_program().place(tools)}
    assert Path(paths[0]).read_bytes() == own_program().path.read_bytes()
    assert [p.name for p in Path(tools).iterdir()] == [f"rclone-{own_program().sha256[:12]}"]
    answer = await local.run(f"'{paths[0]}' version")
    assert answer.stdout.startswith(b"rclone v")


async def test_a_torn_rclone_is_replaced(local: LocalTransport, tmp_path: Path) -> None:
    place = Path(own_program().place(str(tmp_path)))
    place.parent.mkdir()
    place.write_bytes(b"torn")
    place.chmod(0o755)
    assert await bring_rclone(local, str(tmp_path)) == str(place)
    assert place.stat().st_size == own_program().size


async def test_another_architecture_without_an_rclone_of_its_own_is_told(local: LocalTransport, tmp_path: Path) -> None:
    bare = LocalTransport(local.settings, env={"PATH": "/usr/bin:/bin"}, path=None, state_folder=tmp_path)
    with pytest.raises(StagingFailed, match="nodes are riscv64"):
        await bring_rclone(bare, str(tmp_path / "tools"), architecture="riscv64")


@pytest.mark.parametrize(
    ("said", "usable"),
    [
        ("own rclone v1.75.2 /opt/r c/rclone", "/opt/r c/rclone"),
        ("own rclone v1.66.0 /usr/bin/rclone", "/usr/bin/rclone"),
        ("own rclone v1.60.1-DEV /usr/bin/rclone", None),
        ("own  /usr/bin/rclone", None),
        ("", None),
    ],
)
def test_only_a_recent_rclone_of_the_targets_own_is_used(said: str, usable: str | None) -> None:
    assert look_answer(CommandResult(f"machine aarch64\n{said}\n".encode(), b"", 0)) == ("aarch64", usable)
    assert look_answer(CommandResult(b"have\n", b"", 0)) is None


@pytest.mark.real
async def test_a_check_has_a_line_for_everything(build: BuildTarget, plain_sshd: SshSite) -> None:
    target = build(workdir="~/w", image_cache="~/i", transport=ssh_section(plain_sshd), scheduler={"kind": "direct"})
    probes = {probe.name: probe for probe in await check_target(target)}
    wanted = ["ssh", "host key", "login noise", "scheduler", "runtime", "workdir", "image cache", "noexec", "space"]
    assert list(probes) == [*wanted, "nodes", "clock", "rclone"]
    for name in ("ssh", "host key", "scheduler", "workdir", "image cache", "noexec", "clock", "rclone"):
        assert probes[name].status == "ok", probes[name]
    assert all("\n" not in probe.detail for probe in probes.values())


@pytest.mark.real
async def test_a_check_names_what_is_wrong_and_the_fix(build: BuildTarget, hostile_site: SshSite) -> None:
    target = build(
        workdir="/proc/w",
        image_cache="~/i",
        transport=ssh_section(hostile_site),
        scheduler={"kind": "pbs"},
        path="/nowhere",
        env={"PATH": "/usr/bin:/bin"},
    )
    probes = {probe.name: probe for probe in await check_target(target)}
    assert probes["workdir"].status == "failed"
    assert "cannot be made" in probes["workdir"].detail
    assert probes["login noise"].status == "warning"
    assert probes["rclone"].status == "failed"
    assert all(probe.fix for probe in probes.values() if probe.status == "failed" and probe.name != "rclone")


@pytest.mark.real
async def test_a_check_of_a_machine_with_another_key_is_one_failed_line(
    build: BuildTarget, plain_sshd: SshSite
) -> None:
    section = ssh_section(plain_sshd) | {"host_key": []}
    first, *others = await check_target(build(workdir="/tmp/w", image_cache="/tmp/i", transport=section))
    assert (first.name, first.status) == ("ssh", "failed")
    assert "no host key" in first.detail
    assert {probe.status for probe in others} == {"skipped"}


@pytest.mark.real
async def test_a_machine_is_adopted_and_its_section_can_be_used(
    plain_sshd: SshSite, tmp_path: Path, build: BuildTarget
) -> None:
    asked: list[ShownKey] = []

    async def yes(shown: ShownKey) -> bool:
        asked.append(shown)
        return True

    before = plain_sshd.logins()
    proposal = await propose(
        f"{plain_sshd.user}@127.0.0.1", yes, name="vm", port=plain_sshd.ssh_port, key_file=plain_sshd.client_key
    )
    assert plain_sshd.logins() == before + 1
    assert asked[0].line == plain_sshd.host_key
    assert asked[0].fingerprint.startswith("SHA256:")
    file = tmp_path / "gateway.toml"
    file.write_text("# mine\n[gateway]\nlisten = '127.0.0.1:1' # keep\n")
    write_target(file, proposal)
    assert file.read_text().startswith("# mine\n[gateway]\nlisten = '127.0.0.1:1' # keep\n")
    settings = load(file, {})
    target = build(**settings.targets["vm"].model_dump())
    assert (await target.transport.run("echo in")).stdout == b"in\n"
    with pytest.raises(ConfigurationError, match="already"):
        write_target(file, proposal)


@pytest.mark.real
async def test_nobody_logs_in_before_the_key_is_confirmed(plain_sshd: SshSite) -> None:
    async def no(_: ShownKey) -> bool:
        return False

    before = plain_sshd.logins()
    with pytest.raises(HostKeyChanged, match="not accepted"):
        await propose(f"{plain_sshd.user}@127.0.0.1", no, port=plain_sshd.ssh_port, key_file=plain_sshd.client_key)
    assert plain_sshd.logins() == before


def test_a_first_target_keeps_the_built_in_ones(tmp_path: Path) -> None:
    shown = ShownKey("h", "ssh-ed25519 AAAA", "SHA256:x", known=False)
    section = {
        "workdir": 'a "quoted" \\ é\x7f',
        "transport": {"kind": "ssh", "host_key": ["x y"]},
        "scheduler": {"kind": "slurm"},
    }
    file = tmp_path / "new/gateway.toml"
    write_target(file, Proposal("c.d", section, shown))
    raw = tomllib.loads(file.read_text())
    settings = parse(raw)
    assert sorted(settings.targets) == ["c.d", "local"]
    assert settings.default_target == "local"
    assert raw["targets"]["c.d"] == section
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("said", "kind", "path"),
    [
        ("scheduler sbatch here\n", "slurm", None),
        ("scheduler qsub here\n", "pbs", None),
        ("scheduler sbatch here\nscheduler qsub here\nwrapped\n", "slurm", None),
        ("scheduler qsub /opt/pbs/bin/qsub\n", "pbs", "/opt/pbs/bin"),
        ("", "direct", None),
    ],
)
def test_the_scheduler_is_recognised(said: str, kind: str, path: str | None) -> None:
    section, _ = read_site(said)
    assert section["scheduler"] == {"kind": kind}
    assert section.get("path") == path


def test_a_folder_with_room_is_preferred_to_home() -> None:
    assert read_site("room /scratch/me\n")[0]["workdir"] == "/scratch/me/gateway"
    assert read_site("")[0]["workdir"] == "~/gateway"
