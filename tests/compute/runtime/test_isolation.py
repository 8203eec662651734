"""What a payload cannot see or do from inside a real container."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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


def test_files_have_the_umask_of_the_account(make_run: MakeRun) -> None:
    run = make_run("touch", "file", umask="0027")
    assert run.run().status == 0
    assert (run.folder / "file").stat().st_mode & 0o777 == 0o640
