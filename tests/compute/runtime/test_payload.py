"""What a payload gets and how it ends, in real containers, as root and as an ordinary account."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from tests.compute.runtime.container_run import Person, Run, processes_about

MakeRun = Callable[..., Run]
pytestmark = pytest.mark.real

HOSTILE = (
    "",
    " ",
    "two words",
    "-rf",
    "--",
    "a=b",
    "$(touch /job/evil) `touch /job/evil` $HOME ${x:-y}",
    "quotes ' and \" and \\ and \\'",
    "line\nbreak\n\n",
    "tab\tand\rreturn",
    "&& || ; | > < * ? [a] {b,c} ~ ! # %",
    "Grüße, 世界 🌊",
    "\x01\x1b[31m\x7f",
    "x" * 65_536,
)


def test_arguments_and_variables_arrive_byte_for_byte_and_input_is_closed(make_run: MakeRun) -> None:
    env = {f"V{number}": value for number, value in enumerate(HOSTILE)}
    env |= {"RANDOM": "7", "SECONDS": "8", "OPTIND": "9", "gwx": "10", "PATH": "/job/own:/bin", "LANG": "C"}
    show = 'cat "/proc/$$/environ" >environ; printf "%s\\0" "$@" >arguments; wc -c >input'
    ended = make_run("bash", "-c", show, "name", *HOSTILE, env=env).run()
    assert ended.status == 0, ended.err
    arguments = (ended.folder / "arguments").read_bytes().split(b"\0")[:-1]
    assert arguments == [value.encode() for value in HOSTILE]
    pairs = [entry.partition(b"=") for entry in (ended.folder / "environ").read_bytes().split(b"\0")[:-1]]
    arrived = {name.decode(): value.decode() for name, _, value in pairs}
    assert len(arrived) == len(pairs)
    assert {name: arrived.get(name) for name in env} == env
    assert (arrived["HOME"], arrived["TMPDIR"], arrived["PWD"]) == ("/job", "/tmp", "/job")
    assert (ended.folder / "input").read_text().split() == ["0"]
    assert not (ended.folder / "evil").exists()


def test_only_variables_of_scheduler_mpi_and_gpu_come_from_outside(make_run: MakeRun) -> None:
    outside = {
        "SLURM_JOB_ID": "7 '\n8",
        "PBS_JOBCOOKIE": "opens",
        "OMP_NUM_THREADS": "4",
        "SECRET": "s",
        "EDITOR": "vi",
    }
    ended = make_run("env", environment={**outside, "http_proxy": "http://127.0.0.1:1"}).run()
    assert ended.status == 0, ended.err
    assert b"SLURM_JOB_ID=7 '\n8\n" in ended.out
    assert not any(name in ended.out for name in (b"JOBCOOKIE", b"SECRET", b"EDITOR", b"proxy"))


def test_no_variable_stands_in_an_argument_list(make_run: MakeRun) -> None:
    # split, so that the words of this very program are no finding
    run = make_run(
        "bash", "-c", "touch ready; while [ ! -e go ]; do sleep 0.02; done", env={"LICENCE": "word" + "-of-honour"}
    )
    process = run.start()
    run.ready()
    seen = processes_about("word-" + "of-honour")
    (run.folder / "go").touch()
    assert run.end(process).status == 0
    assert seen == {}


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("sh", "-c", "exit 3"), 3),
        (("/job",), 126),
        (("no-such-program",), 127),
        (("sh", "-c", "kill -KILL $$"), 137),
        (("sh", "-c", "kill -SEGV $$"), 139),
    ],
    ids=["3", "126", "127", "137", "139"],
)
@pytest.mark.parametrize("kind", ["charliecloud", "podman"])
def test_the_status_is_the_payloads(kind: str, ordinary: Person, command: tuple[str, ...], status: int) -> None:
    ended = Run(ordinary, kind, command).run()
    assert (ended.status, ended.alive) == (status, False), ended.err


def test_term_reaches_the_payload_and_its_grandchildren(make_run: MakeRun) -> None:
    script = """
    trap 'wait; echo payload >>said; exit 9' TERM
    setsid bash -c 'trap "echo grandchild >>said; exit" TERM; touch ready; while :; do sleep 0.02; done' &
    while :; do sleep 0.02; done
    """
    run = make_run("bash", "-c", script, stop_after=20)
    ended = run.run()
    assert (ended.status, ended.alive) == (9, False), ended.err
    assert sorted((run.folder / "said").read_text().split()) == ["grandchild", "payload"]
    assert (run.folder / "said").read_text().split()[-1] == "payload"
    assert "stop 0" in ended.lines


def test_a_payload_that_does_not_handle_term_is_ended_by_it(make_run: MakeRun) -> None:
    ended = make_run("sh", "-c", "touch ready; while :; do sleep 0.02; done", stop_after=20).run()
    assert (ended.status, ended.alive) == (143, False), ended.err


def test_one_that_ignores_term_is_killed_after_its_grace_with_all_it_started(make_run: MakeRun) -> None:
    run = make_run(
        "bash", "-c", 'trap "" TERM; setsid sleep 4321 & sleep 4321 & touch ready; wait; sleep 4321', stop_after=1
    )
    ended = run.run()
    assert (ended.status, ended.alive) == (137, False), ended.err
    assert processes_about(run.job) == {}


def test_what_a_payload_leaves_running_ends_with_it(make_run: MakeRun) -> None:
    mark = f"sleep 86400.{secrets.randbelow(10**12)}"
    ended = make_run("bash", "-c", f'trap "" TERM; setsid {mark} >/dev/null & sleep 0.05; exit 5').run()
    assert (ended.status, ended.alive) == (5, False), ended.err
    assert processes_about(mark) == {}
