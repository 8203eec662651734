"""Commands of other images on the payload's PATH: real containers, beside a payload in a container and on the host."""

from __future__ import annotations

import dataclasses
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import templates
from gateway.compute.script import ScriptTool
from gateway.model.specification import Image
from testbed.images import TestImage
from tests.job_templates.local_attempt import Attempt, processes_about, until
from tests.job_templates.tool_images import PROGRAMS, SHOW, tool_image

pytestmark = pytest.mark.real
Stage = Callable[..., Attempt]
PATIENCE = 120.0


@pytest.fixture(scope="session")
def tools(test_image: TestImage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two images of tools: one declares its commands, the other one has them in its folder."""
    folder = tmp_path_factory.mktemp("tools")
    declares = 'export DEPLOY_BINS="show:tell" DEPLOY_PATH=/opt/alpha/bin COLOUR=grey FLAVOUR=plain'
    return {
        "alpha": tool_image(test_image, folder, "alpha", PROGRAMS, declares),
        "beta": tool_image(test_image, folder, "beta", {"show": SHOW, "show-beta": SHOW}),
    }


@pytest.fixture(params=["container", "host"])
def place(request: pytest.FixtureRequest) -> str:
    """Where the payload runs."""
    return str(request.param)


@pytest.fixture
def stage(attempt: Attempt, test_image: TestImage, tools: dict[str, Path]) -> Stage:
    """Stage a script with both tools."""

    def made(script: str, place: str = "container", kind: str = "charliecloud", **changes: Any) -> Attempt:
        given: dict[str, Any] = {
            "runtimes": ("host",) if place == "host" else (kind,),
            "tool_runtimes": (kind,),
            "runtime_libraries": {kind: templates.library(f"runtime_{kind}.sh")},
            "image": None if place == "host" else Image(ref=str(test_image.squashfs)),
            "tools": tuple(ScriptTool(f"{name}/1.0", Image(ref=str(file))) for name, file in tools.items()),
            "walltime": 600,
            "stores": (),
            "transfers": (),
            "rclone": None,
        }
        return attempt.stage(script, **(given | changes))

    return made


def run(attempt: Attempt) -> str:
    """Run it to its end; return what the payload wrote to its standard output."""
    attempt.start().wait(PATIENCE)
    return output(attempt) if (attempt.control / "payload.out").exists() else ""


def output(attempt: Attempt) -> str:
    """Return what the payload wrote to its standard output."""
    return (attempt.control / "payload.out").read_text()


def errors(attempt: Attempt) -> str:
    """Return what it wrote to its standard error."""
    return (attempt.control / "payload.err").read_text()


def test_one_script_uses_the_commands_of_two_images(stage: Stage, place: str) -> None:
    attempt = stage(
        'mkdir "a b" && cd "a b" && show "two words" "" "it\'s" "*" -x "$(printf "1\\n2")" && show-beta', place
    )
    said = run(attempt)
    assert attempt.final["exit_code"] == 0, (errors(attempt), attempt.log())
    folder = "/job" if place == "container" else str(attempt.folder)
    words = "<two words>\n<>\n<it's>\n<*>\n<-x>\n<1\n2>\n"
    umask = f"{os.umask(0o022):04o}"
    os.umask(int(umask, 8))
    assert said == (
        f"show of alpha in {folder}/a b umask {umask}\n{words}show-beta of beta in {folder}/a b umask {umask}\n"
    )
    assert not (attempt.folder / ".gateway").exists()


def test_streams_and_statuses_are_the_tools(stage: Stage, place: str) -> None:
    attempt = stage(
        """
        head -c 3000000 /dev/zero | count-bytes
        printf 'x y' >in && count-bytes <in && count-bytes </dev/null
        count-bytes <&-
        fail 41 2>said; echo "status $? $(cat said)"
        fail 2>&1 | cat; echo "status ${PIPESTATUS[0]}"
        killed; echo "status $?"
        show | head -n 1 >/dev/null
        (exec 1>&-; show >/dev/null); echo "status $?"
        no-such-command 2>/dev/null; echo "status $?"
        exit 9
        """,
        place,
    )
    said = run(attempt).splitlines()
    assert said == [
        *("3000000", "3", "0", "0", "status 41 no such thing", "no such thing", "status 3", "status 137"),
        *("status 0", "status 127"),
    ], (errors(attempt), attempt.log())
    assert attempt.final["exit_code"] == 9


def test_variables_that_the_script_sets_arrive_and_the_images_own_stay(stage: Stage, place: str) -> None:
    attempt = stage(
        """
        export COLOUR='it'"'"'s "red" $HOME' LINES_OF='one
two=2
' ; export 'EMPTY='
        hidden=yes
        for name in COLOUR FLAVOUR GIVEN LINES_OF EMPTY hidden HOME UNKNOWN; do tell $name; echo .; done
        COLOUR=blue tell COLOUR
        """,
        place,
        env={"GIVEN": "by the job's author"},
    )
    assert run(attempt) == (
        "COLOUR=it's \"red\" $HOME.\nFLAVOUR=plain.\nGIVEN=by the job's author.\nLINES_OF=one\ntwo=2\n.\n"
        "EMPTY=.\nhidden=unset.\nHOME=/job.\nUNKNOWN=unset.\nCOLOUR=blue"
    ), (errors(attempt), attempt.log())


def test_tools_run_at_the_same_time(stage: Stage) -> None:
    attempt = stage("for n in 1 2 3 4 5 6; do write result.$n $n & done; wait; cat result.*")
    assert run(attempt) == "123456", (errors(attempt), attempt.log())


def test_a_signal_reaches_the_tool_and_its_status_comes_back(stage: Stage, place: str) -> None:
    attempt = stage(
        """
        stubborn >said & tool=$!
        until [ -e ready ]; do sleep 0.05; done
        kill -USR1 $tool; until grep -q one said; do sleep 0.05; done
        kill -TERM $tool; wait $tool; echo "status $?"; cat said
        """,
        place,
    )
    assert run(attempt) == "status 7\none\nasked\n", (errors(attempt), attempt.log())


def test_a_stopped_job_asks_its_tools_too(stage: Stage, place: str) -> None:
    attempt = stage("exec stubborn >>said", place, grace=60.0)
    process = attempt.start()
    until((attempt.folder / "ready").exists, "the tool runs")
    attempt.say("stop")
    process.wait(PATIENCE)
    assert attempt.final["reason"] == "cancelled_by_user"
    assert "asked" in (attempt.folder / "said").read_text()
    assert processes_about(attempt.job) == {}


def test_what_a_payload_leaves_running_in_a_tool_ends_with_it(stage: Stage, place: str) -> None:
    attempt = stage("stubborn >/dev/null & until [ -e ready ]; do sleep 0.05; done; exit 4", place)
    run(attempt)
    assert attempt.final["exit_code"] == 4
    assert processes_about(attempt.job) == {}


def test_tools_end_when_the_script_is_killed(stage: Stage, place: str) -> None:
    attempt = stage("stubborn >/dev/null; exit 4", place)
    process = attempt.start()
    until((attempt.folder / "ready").exists, "the tool runs")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)
    until(lambda: processes_about(attempt.job) == {}, "all processes have ended")


def test_a_payload_cannot_have_the_script_write_elsewhere(stage: Stage, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("untouched")
    attempt = stage(
        f"""
        cd .gateway/tools
        mkdir calls/1-1 && ln -s {secret} calls/1-1/status && ln -s {secret} calls/1-1/out
        mkfifo calls/1-1/in calls/1-1/err && printf 'exec show\\n' >calls/1-1/call
        printf 'run 1-1 0\\n' >requests
        printf 'run ../../x 0\\nrun 1-2 99\\nrun 1-3 -1\\nrun\\n\\nrun $(touch x) 0\\nTERM 1-9\\n' >requests
        cat calls/1-1/err & (echo >calls/1-1/in) || :
        cd /job && show | head -n 1
        """
    )
    assert run(attempt).startswith("show of alpha"), (errors(attempt), attempt.log())
    assert secret.read_text() == "untouched"


def test_what_an_earlier_run_left_at_the_tools_folder_is_not_followed(stage: Stage, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    attempt = stage("show | head -n 1")
    (attempt.folder / ".gateway").symlink_to(elsewhere)
    assert run(attempt).startswith("show of alpha"), (errors(attempt), attempt.log())
    assert [path.name for path in elsewhere.iterdir()] == ["file"]


def test_podman_runs_tools_too(stage: Stage, place: str) -> None:
    attempt = stage('show "two words" | tail -n 1; fail 5 2>/dev/null; echo $?', place, kind="podman")
    assert run(attempt) == "<two words>\n5\n", (errors(attempt), attempt.log())
    assert processes_about(attempt.job) == {}


def test_commands_that_were_named_are_the_only_ones(stage: Stage, tools: dict[str, Path]) -> None:
    tool = ScriptTool("alpha/1.0", Image(ref=str(tools["alpha"])), ("tell", "ls", "env"))
    attempt = stage("ls .gateway/tools/bin | sort; show", tools=(tool,))
    assert run(attempt).split() == ["ls", "tell"]
    assert attempt.final["exit_code"] == 127


@pytest.mark.parametrize(
    ("ref", "words"),
    [("/nowhere/tool.sif", "no source gave the image"), ("", "declares no commands")],
    ids=["absent", "without-commands"],
)
def test_a_job_whose_tool_cannot_be_used_says_which_and_why(
    stage: Stage, test_image: TestImage, ref: str, words: str
) -> None:
    attempt = stage("true", tools=(ScriptTool("gamma/2", Image(ref=ref or str(test_image.squashfs))),))
    run(attempt)
    assert attempt.final["reason"] == "image_pull_failed"
    assert "the tool gamma/2 cannot be used" in attempt.final["message"]
    assert words in attempt.final["message"]


def test_tools_work_on_a_scratch_disk(stage: Stage, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    attempt = stage("write result 12 && show >said", scratch=str(scratch))
    run(attempt)
    assert attempt.final["exit_code"] == 0, (errors(attempt), attempt.log())
    assert (attempt.folder / "result").read_text() == "12"
    assert sorted(path.name for path in attempt.folder.iterdir()) == ["result", "said"]


def test_the_jobs_folder_has_its_own_place_in_tools_of_a_payload_on_the_host(
    stage: Stage, attempt: Attempt, test_image: TestImage
) -> None:
    with tempfile.TemporaryDirectory(prefix="gwtools-", dir="/var/tmp") as base:  # /tmp is each container's own
        folder = Path(base) / "a folder" / attempt.job
        folder.mkdir(parents=True)
        attempt.folder = folder
        cache = Path(base) / "cache"
        attempt = stage(
            'mkdir deep && cd deep && write "$PWD/../x y" 5 && show',
            "host",
            job_folder=str(folder),
            image_cache=str(cache),
        )
        assert run(attempt).startswith(f"show of alpha in {folder}/deep"), (errors(attempt), attempt.log())
        assert (folder / "x y").read_text() == "5"
        left = [path for path in cache.glob(f"*{folder.parent}/*")]
        assert left == []


def test_a_script_without_tools_has_no_folder_of_them(attempt: Attempt) -> None:
    attempt.stage("ls -A", stores=(), transfers=())
    assert dataclasses.asdict(attempt.request)["tools"] == ()
    attempt.run()
    assert output(attempt) == ""
