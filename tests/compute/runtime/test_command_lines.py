"""Runtimes that the tests' machine does not have: what they are called with, and with which standard input."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.compute.runtime.container_run import SYSTEM_PATH, Person, Run, until

RECORD = """#!/bin/bash
{ printf '%s\\0' "$@"; } >"$RECORDS/$(basename "$0").$1.$$"
"""
APPTAINER = (
    RECORD
    + """cat >"$RECORDS/input"
printf '%s\\0' "$(env)" >"$RECORDS/environment"
exit 6
"""
)
DOCKER = (
    RECORD
    + """case "$1 $2" in
  "image inspect") [ -e "$RECORDS/imported" ] ;;
  "import -") cat >"$RECORDS/tar"; touch "$RECORDS/imported" ;;
  "run --rm") cat >"$RECORDS/input"; exit 6 ;;
esac
"""
)


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """A folder for programs that stand in for the real ones; they write to ``records`` in it."""
    folder = tmp_path / "stub"
    (folder / "records").mkdir(parents=True)
    return folder


def put(folder: Path, name: str, text: str) -> dict[str, str]:
    """Put a program into the folder; return the environment in which it is found."""
    program = folder / name
    program.write_text(text.replace("$RECORDS", str(folder / "records")))
    program.chmod(0o755)
    return {"PATH": f"{folder}:{SYSTEM_PATH}"}


def calls(folder: Path, pattern: str) -> list[list[str]]:
    """Return the argument lists of the calls."""
    return [path.read_text().split("\0")[:-1] for path in sorted((folder / "records").glob(pattern))]


def only_call(folder: Path, pattern: str) -> list[str]:
    """Return the argument list of the one call."""
    found = calls(folder, pattern)
    assert len(found) == 1, found
    return found[0]


def quoted(text: str) -> list[str]:
    """Return the words of shell text, as a POSIX shell reads them."""
    done = subprocess.run(["dash", "-c", f"printf '%s\\0' {text}"], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("kind", ["apptainer", "singularity"])
def test_apptainer_and_singularity_are_called_with_everything_contained(kind: str, own: Person, stub: Path) -> None:
    environment = put(stub, kind, APPTAINER)
    env = {"A": "it's\n$HOME", "PREPEND_PATH": "x,y"}
    command = ["solve", "two words", "-x"]
    run = Run(own, kind, command, env=env, gpus=2, binds=["/data", "/sw"], environment=environment)
    ended = run.run()
    assert ended.status == 6, ended.err
    argv = only_call(stub, f"{kind}.*")
    where = argv[argv.index("--workdir") + 1]
    as_root = ["--no-privs"] if os.geteuid() == 0 else []
    assert argv[: argv.index("/bin/sh")] == [
        *("--silent", "exec", "--containall", "--no-home", "--pid", "--cleanenv"),
        *("--workdir", where, *as_root, "--nv", "--bind", "/data:/data:ro", "--bind", "/sw:/sw:ro"),
        *("--bind", f"{run.folder}:/job", "--pwd", "/job", str(own.image)),
    ]
    assert argv[-3:] == command
    assert argv[argv.index("gateway-init") + 1 : -3] == [str(Path("/proc/self/ns/pid").readlink()), "0022"]
    words = quoted((stub / "records" / "input").read_text())
    assert words[:2] == ["HOME=/job", "TMPDIR=/tmp"]
    assert words[-2:] == [f"{name}={value}" for name, value in env.items()]
    assert not Path(where).exists()


@pytest.mark.parametrize("kind", ["apptainer", "singularity"])
def test_apptainer_and_singularity_take_the_network_away_where_the_site_lets_them(
    kind: str, own: Person, stub: Path
) -> None:
    refuse = APPTAINER.replace(
        "cat >", '[ "${*: -1}" != : ] || [ ! -e "$RECORDS/refuse" ] || { echo not allowed; exit 1; }\ncat >'
    )
    environment = put(stub, kind, refuse)
    ended = Run(own, kind, ["solve"], network="", environment=environment | {"X": "1"}).run()
    assert ended.lines[0].startswith("unprepared: "), ended.lines  # the stand-in ends with 6
    (stub / kind).write_text((stub / kind).read_text().replace("exit 6", '[ "${*: -1}" = : ] || exit 6'))
    for call in (stub / "records").iterdir():
        call.unlink()
    assert Run(own, kind, ["solve"], network="", environment=environment).run().status == 6
    argv = next(argv for argv in calls(stub, f"{kind}.*") if argv[-1] == "solve")
    assert argv[argv.index("--net") : argv.index("--net") + 3] == ["--net", "--network", "none"]
    (stub / "records" / "refuse").touch()
    refused = Run(own, kind, ["solve"], network="", environment=environment).run()
    assert refused.lines[0].endswith(": not allowed")
    assert f"{kind} cannot take the network away" in refused.lines[0]


def test_docker_imports_an_image_once_and_runs_it_as_the_account(own: Person, stub: Path) -> None:
    environment = put(stub, "docker", DOCKER)
    runs = [Run(own, "docker", ["solve", "-x"], gpus=1, binds=["/data"], environment=environment) for _ in range(2)]
    assert [run.run().status for run in runs] == [6, 6]
    image = only_call(stub, "docker.import.*")[2]
    listed = subprocess.run(["tar", "-tf", stub / "records" / "tar"], capture_output=True, text=True, check=True)
    assert {"./bin/sh", "./job/"} <= set(listed.stdout.split())
    found = calls(stub, "docker.run.*")
    assert sorted(argv[3] for argv in found) == sorted(f"--name=gw-{run.job}-1" for run in runs)
    argv, run = next((argv, run) for argv in found for run in runs if run.job in argv[3])
    known = argv[: argv.index("/bin/sh")]
    wanted = {"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--gpus=all", "/data:/data:ro"}
    assert wanted | {f"--user={os.geteuid()}:{os.getegid()}", f"{run.folder}:/job"} <= set(known)
    assert known[-1] == image
    assert argv[-2:] == ["solve", "-x"]


def test_docker_is_asked_to_stop_by_the_containers_name(own: Person, stub: Path) -> None:
    text = DOCKER.replace('cat >"$RECORDS/input"; exit 6', "touch ready; exec sleep 600")
    text = text.replace("esac", '  "stop -t") kill "$(cat "$RECORDS/pid")" ;;\nesac')
    text = text.replace("#!/bin/bash\n", '#!/bin/bash\n[ "$1" != run ] || echo $$ >"$RECORDS/pid"\n')
    run = Run(own, "docker", ["solve"], stop_after=7, environment=put(stub, "docker", text))
    ended = run.run()
    assert ended.status == 143, ended.err
    assert only_call(stub, "docker.stop.*") == ["stop", "-t", "7", f"gw-{run.job}-1"]


# A machine of its own for the stand-ins that really run what they are given: its processes are all that they can end.
MACHINE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc")
RUNS_WORDS = """#!/bin/bash
while [ "$1" != /bin/sh ]; do shift; done
[ "$(cat /proc/1/comm)" = keeper ] || exit 99
export APPTAINER_CONTAINER=x
"""


@pytest.mark.real
@pytest.mark.parametrize("namespace", [True, False], ids=["own-pids", "pids-of-the-node"])
def test_a_site_without_pid_namespaces_does_not_lose_other_processes(own: Person, stub: Path, namespace: bool) -> None:
    start = "exec unshare --pid --fork --kill-child --mount-proc" if namespace else "exec"
    environment = put(stub, "apptainer", f'{RUNS_WORDS}{start} "$@"\n')
    payload = "trap 'echo asked >>said; exit 9' TERM; touch ready; while :; do sleep 0.02; done"
    run = Run(own, "apptainer", ["bash", "-c", payload], stop_after=20, environment=environment)
    script = own.folder / f"{run.job}.machine"
    script.write_text(
        f"""echo keeper >/proc/self/comm
sleep 600 & other=$!
setsid bash {own.folder}/{run.job}.sh
kill -0 "$other" && echo 'other lives'
"""
    )
    # the shell that starts the payload takes its folder as /job does: the stand-in mounts nothing
    text = run.script()
    (own.folder / f"{run.job}.sh").write_text(text)
    with own.command(
        [*MACHINE, "bash", str(script)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as machine:
        out, err = machine.communicate(timeout=60)
    lines = out.decode().splitlines()
    assert lines[1:] == ["stop 0", "status 9", "other lives"], (lines, err)
    assert (run.folder / "said").read_text() == "asked\n"
    until(lambda: not [path for path in own.private_folders() if (path / "work").exists()], "folders are removed")


@pytest.mark.parametrize(
    ("kind", "missing", "sentence"),
    [
        ("apptainer", "apptainer", "apptainer needs apptainer, which is not on PATH of "),
        ("singularity", "singularity", "singularity needs singularity, which is not on PATH of "),
        ("charliecloud", "ch-run", "charliecloud needs ch-run, which is not on PATH of "),
        ("podman", "podman", "podman needs podman, which is not on PATH of "),
        ("docker", "docker", "docker needs docker, which is not on PATH of "),
    ],
)
def test_a_runtime_that_is_not_there_is_named(kind: str, missing: str, sentence: str, own: Person, stub: Path) -> None:
    for name in ("bash", "cat", "env", "id", "readlink", "mkdir", "mktemp", "uname"):
        (stub / name).symlink_to(f"/bin/{name}")
    assert not (stub / missing).exists()
    ended = Run(own, kind, ["true"], environment={"PATH": str(stub)}).run()
    assert len(ended.lines) == 1
    assert ended.lines[0].startswith(f"unavailable: {sentence}")


def test_charliecloud_says_that_the_node_forbids_user_namespaces(own: Person, stub: Path) -> None:
    environment = put(
        stub, "unshare", "#!/bin/sh\necho 'unshare: unshare failed: No space left on device' >&2\nexit 1\n"
    )
    ended = Run(own, "charliecloud", ["true"], environment=environment).run()
    assert len(ended.lines) == 1
    assert "needs user namespaces" in ended.lines[0]
    assert ended.lines[0].endswith("unshare: unshare failed: No space left on device")


def test_docker_says_that_its_daemon_does_not_answer(own: Person, stub: Path) -> None:
    ended = Run(own, "docker", ["true"], environment=put(stub, "docker", "#!/bin/sh\nexit 1\n")).run()
    assert len(ended.lines) == 1
    assert ended.lines[0].endswith("does not answer this account")
