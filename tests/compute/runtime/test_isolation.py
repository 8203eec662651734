"""What a payload cannot see or do from inside a real container."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.images import TestImage, pack
from tests.compute.runtime.container_run import Person, Run

MakeRun = Callable[..., Run]
pytestmark = pytest.mark.real

NOSY = r"""
for path in "$CONTROL/credentials" "$CONTROL" "$OTHER/secret" "$OTHER" "$HOME_FOLDER"; do
  if cat "$path" >/dev/null 2>&1 || ls "$path" >/dev/null 2>&1; then echo "saw $path"; fi
done
for process in /proc/[0-9]*; do
  pid=${process#/proc/}
  if [ "$pid" != 1 ] && [ "$pid" -lt $$ ]; then echo "sees process $pid"; fi
  for link in root cwd; do
    if ls "$process/$link$OTHER" >/dev/null 2>&1; then echo "saw the host by $process/$link"; fi
  done
  if tr '\0' '\n' <"$process/environ" 2>/dev/null | grep -a "$TOKEN_NAME=" | grep -v "^TOKEN_NAME"; then
    echo "saw the environment of $process"
  fi
done
if echo forged >"$CONTROL/final.json"; then echo "wrote the record"; fi 2>/dev/null
for place in / /etc /usr/bin /bin; do
  if touch "$place/written"; then echo "wrote into $place"; fi 2>/dev/null
done
if kill -0 "$BYSTANDER" 2>/dev/null && [ "$(cat "/proc/$BYSTANDER/comm")" = sleep ]; then echo "sees the bystander"; fi
if [ -e "/dev/shm/$SHARED" ]; then echo "saw shared memory"; fi
echo mine >/dev/shm/mine && echo mine >/tmp/mine && echo mine >/job/mine && echo done
"""


@contextlib.contextmanager
def bystander(person: Person) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process of the same account on the host, with a secret in its environment."""
    process = person.command(["sleep", "600"], env={"A_TOKEN": "secret"})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_nosy_payload_sees_only_its_own_folder(make_run: MakeRun) -> None:
    other, shared = make_run("true"), Path("/dev/shm") / f"gwrun-{secrets.token_hex(6)}"
    other.folder.mkdir(parents=True, exist_ok=True)
    person = other.person
    person.own(other.folder)
    person.own(other.folder.parent)
    shared.write_text("of another job")
    person.own(shared)
    try:
        with bystander(person) as process:
            run = make_run("bash", "-c", NOSY)
            names = {
                "CONTROL": str(run.control),
                "OTHER": str(other.folder),
                "HOME_FOLDER": str(person.folder),
                "TOKEN_NAME": "A_TOKEN",
                "BYSTANDER": str(process.pid),
                "SHARED": shared.name,
            }
            run.values |= {"env_names": list(names), "env_values": list(names.values())}
            ended = run.run()
    finally:
        shared.unlink()
    assert ended.out.decode().splitlines() == ["done"], ended.err
    assert ended.status == 0
    assert (run.folder / "mine").stat().st_uid == person.uid
    assert not (run.control / "final.json").exists()


def test_a_payload_has_none_of_the_scripts_descriptors(make_run: MakeRun) -> None:
    ended = make_run("bash", "-c", "for fd in /proc/$$/fd/*; do readlink $fd; done").run()
    names = [line for line in ended.out.decode().splitlines() if not line.startswith("pipe:")]
    assert [name for name in names if not name.endswith(("/dev/null", "payload.out", "payload.err"))] == []


def test_folders_of_the_node_are_bound_read_only(make_run: MakeRun, person: Person) -> None:
    folder = person.folder / "shared data"
    (folder / "deep").mkdir(parents=True, exist_ok=True)
    (folder / "deep" / "file").write_text("shared\n")
    person.own(folder)
    script = f"""
    cat "{folder}/deep/file"
    ls {person.folder}
    touch "{folder}/new" "{folder}/deep/new" 2>/dev/null || echo refused
    """
    ended = make_run("bash", "-c", script, binds=[str(folder)]).run()
    assert ended.out.decode().splitlines() == ["shared", "shared data", "refused"], ended.err
    assert sorted(path.name for path in folder.rglob("*")) == ["deep", "file"]


def test_folders_below_the_roots_are_bound_and_links_out_of_them_are_not(make_run: MakeRun, person: Person) -> None:
    roots, outside = person.folder / "roots", person.folder / "outside"
    for folder in (roots / "atlas one", outside):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "file").write_text("seen\n")
        person.own(folder)
    for link, to in (("current", roots / "atlas one"), ("away", outside)):
        if not (roots / link).is_symlink():
            (roots / link).symlink_to(to)
    script = f'cat "{roots}/current/file" && ls "{roots}" && touch "{roots}/current/new" || echo refused'
    asked = {"bind_roots": [str(roots)], "asked_binds": [str(roots / "current")]}
    ended = make_run("bash", "-c", script, **asked).run()
    assert ended.out.decode().splitlines() == ["seen", "current", "refused"], (ended.err, ended.lines)
    for bind in ("away", "atlas one/../../outside", "absent"):
        refused = make_run("true", **(asked | {"asked_binds": [str(roots / bind)]})).run()
        assert refused.lines[0].startswith("refused: the folder "), refused.lines


@pytest.mark.parametrize("kind", ["charliecloud"])
def test_folders_that_the_image_does_not_have_can_be_bound(kind: str, own: Person) -> None:
    ended = Run(own, kind, ["ls", "/usr/share/doc/base-files"], binds=["/usr/share/doc"]).run()
    assert ended.status == 0, (ended.err, ended.lines)


def test_a_link_of_the_image_is_not_followed_to_make_a_mount_point(
    own: Person, test_image: TestImage, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    shutil.copytree(test_image.rootfs, root, symlinks=True)
    (root / "data").symlink_to(tmp_path)
    pack(root, tmp_path / "linked.sqfs")
    run = Run(own, "charliecloud", ["true"], binds=["/data/deep"], image=tmp_path / "linked.sqfs")
    ended = run.run()
    assert ended.lines[0].startswith("unprepared: the image has no folder /data/deep"), ended.lines
    assert not (tmp_path / "deep").exists()


def test_a_payload_without_network_has_none_but_its_own(make_run: MakeRun) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = f"grep -c : /proc/net/dev; wget -q -T 5 -O - http://127.0.0.1:{server.getsockname()[1]}/ || echo none"
        ended = make_run("bash", "-c", script, network="").run()
    assert ended.out.decode().splitlines() == ["1", "none"], (ended.err, ended.lines)


def test_files_have_the_umask_of_the_account(make_run: MakeRun) -> None:
    run = make_run("touch", "file", umask="0027")
    assert run.run().status == 0
    assert (run.folder / "file").stat().st_mode & 0o777 == 0o640
