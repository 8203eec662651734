"""What is asked of a scheduler: resources as directives, and the alphabets that keep values from being read as more."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from pydantic import ValidationError
from scheduler_replay import bash

from gateway.compute.scheduler.base import Scheduler, SchedulerFacts, Submission
from gateway.compute.scheduler.direct import Direct, DirectSettings
from gateway.compute.scheduler.pbs import Pbs, PbsSettings
from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.errors import InvalidRequest
from gateway.model.specification import Resources

NAME = "gw-0123456789ab"
OPENPBS, TORQUE = SchedulerFacts("openpbs"), SchedulerFacts("torque")
WRAPPER, SLURM = SchedulerFacts("slurm-torque"), SchedulerFacts("slurm")
DIRECT = SchedulerFacts("direct")
KINDS = {"pbs": (Pbs, PbsSettings), "slurm": (Slurm, SlurmSettings), "direct": (Direct, DirectSettings)}


def scheduler(kind: str, **settings: Any) -> Scheduler:
    plugin, model = KINDS[kind]
    made: Scheduler = plugin(model(kind=kind, **settings))
    return made


def job(folder: str = "/scratch/.gateway/j/1", **resources: Any) -> Submission:
    return Submission(NAME, folder, Resources(**resources))


def pointers(kind: str, facts: SchedulerFacts, submission: Submission, **settings: Any) -> list[str]:
    with pytest.raises(InvalidRequest) as caught:
        scheduler(kind, **settings).directives(submission, facts)
    return [error.pointer for error in caught.value.errors]


FULL: dict[str, Any] = {"nodes": 2, "cpus": 8, "memory": "1G", "gpus": 1, "walltime": "01:30:05"}


@pytest.mark.parametrize(
    ("kind", "facts", "resources", "expected"),
    [
        (
            "pbs",
            OPENPBS,
            {**FULL, "tasks_per_node": 4},
            [
                "#PBS -r n",
                "#PBS -l select=2:ncpus=8:mem=1073741824b:ngpus=1:mpiprocs=4",
                "#PBS -l place=scatter",
                "#PBS -l walltime=01:30:05",
            ],
        ),
        ("pbs", OPENPBS, {}, ["#PBS -r n", "#PBS -l select=1:ncpus=1", "#PBS -l walltime=01:00:00"]),
        (
            "pbs",
            TORQUE,
            FULL,
            [
                "#PBS -r n",
                "#PBS -l nodes=2:ppn=8:gpus=1",
                "#PBS -l mem=2147483648b",
                "#PBS -l walltime=01:30:05",
            ],
        ),
        (
            "pbs",
            WRAPPER,
            {**FULL, "memory": 1024 * 1024 + 1},
            ["#PBS -r n", "#PBS -l nodes=2:ppn=8:gpus=1", "#PBS -l mem=2mb", "#PBS -l walltime=01:30:05"],
        ),
        (
            "slurm",
            SLURM,
            {**FULL, "tasks_per_node": 4, "memory": 1024 * 1024 + 1, "walltime": 366 * 86400},
            [
                "#SBATCH --nodes=2",
                "#SBATCH --ntasks-per-node=4",
                "#SBATCH --cpus-per-task=2",
                "#SBATCH --time=8784:00:00",
                "#SBATCH --no-requeue",
                "#SBATCH --open-mode=append",
                "#SBATCH --mem=2M",
                "#SBATCH --gres=gpu:1",
            ],
        ),
        ("direct", DIRECT, {"cpus": 4, "memory": "1G", "gpus": 1}, []),
    ],
)
def test_resources_are_asked_for_per_node(
    kind: str, facts: SchedulerFacts, resources: dict[str, Any], expected: list[str]
) -> None:
    assert scheduler(kind).directives(job(**resources), facts) == expected


def test_a_jobs_queue_and_account_come_before_the_targets() -> None:
    settings = {"queue": "batch", "account": "proj1", "directives": ["-W umask=0027", "-l place=excl"]}
    lines = scheduler("pbs", **settings).directives(job(nodes=2, queue="long@server"), OPENPBS)
    assert lines[3:] == ["#PBS -q long@server", "#PBS -A proj1", "#PBS -W umask=0027", "#PBS -l place=excl"]
    assert "#PBS -l place=scatter" not in lines
    settings["directives"] = ["--exclusive"]
    lines = scheduler("slurm", **settings).directives(job(account="other"), SLURM)
    assert lines[6:] == ["#SBATCH --partition=batch", "#SBATCH --account=other", "#SBATCH --exclusive"]


def test_users_set_the_options_that_the_administrator_lists_and_no_others() -> None:
    wanted = job(options={"qos": "high", "constraint": "a100"})
    lines = scheduler("slurm", options=["qos", "constraint"]).directives(wanted, SLURM)
    assert lines[-2:] == ["#SBATCH --qos=high", "#SBATCH --constraint=a100"]
    lines = scheduler("pbs", options=["qos", "constraint"]).directives(wanted, OPENPBS)
    assert lines[-2:] == ["#PBS -l qos=high", "#PBS -l constraint=a100"]
    assert pointers("slurm", SLURM, wanted, options=["qos"]) == ["#/resources/options/constraint"]
    for kind in KINDS:
        assert scheduler(kind).option_problem("qos")
    assert scheduler("slurm", options=["qos"]).option_problem("qos") is None


def test_an_option_of_pbs_cannot_bring_a_second_one() -> None:
    wanted = job(options={"qos": "high,walltime=99:00:00"})
    assert pointers("pbs", OPENPBS, wanted, options=["qos"]) == ["#/resources/options/qos"]


HOSTILE = ["a b", "a;id", "$(id)", "`id`", "a'b", 'a"b', "a\nb", "a\\b", "-x", "é", "a|b", "a&b", "a>b", "*", "", "#"]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(("kind", "facts"), [("pbs", OPENPBS), ("pbs", WRAPPER), ("slurm", SLURM)])
def test_a_value_that_a_shell_could_read_is_refused_by_its_place(kind: str, facts: SchedulerFacts, value: str) -> None:
    resources = Resources().model_copy(update={"queue": value, "account": value, "options": {"qos": value}})
    found = pointers(kind, facts, Submission(NAME, "/scratch", resources), options=["qos"])
    assert found == ["#/resources/queue", "#/resources/account", "#/resources/options/qos"]


@pytest.mark.parametrize(
    "value", ["a b", "-x\ny", "-l a=$(id)", "-l `id`", "-N 'x'", "-x;y", "no dash", "", '-l "x"', "-l é"]
)
def test_an_administrators_line_outside_the_alphabet_is_a_mistake_of_the_configuration(value: str) -> None:
    for kind in ("pbs", "slurm"):
        with pytest.raises(ValidationError):
            scheduler(kind, directives=[value])


def test_options_that_the_gateway_sets_itself_cannot_be_given_to_users() -> None:
    with pytest.raises(ValidationError, match="output"):
        scheduler("slurm", options=["qos", "output"])


@pytest.mark.parametrize(
    ("kind", "facts", "resources", "expected"),
    [
        (
            "direct",
            DIRECT,
            {"nodes": 2, "queue": "q", "account": "a", "options": {"o": "v"}},
            ["nodes", "queue", "account", "options/o"],
        ),
        ("slurm", SLURM, {"cpus": 8, "tasks_per_node": 3}, ["tasks_per_node"]),
        ("slurm", SLURM, {"cpus": 1, "tasks_per_node": 2}, ["tasks_per_node"]),
        ("pbs", TORQUE, {"cpus": 8, "tasks_per_node": 2}, ["tasks_per_node"]),
        ("pbs", WRAPPER, {"cpus": 8, "tasks_per_node": 2}, ["tasks_per_node"]),
    ],
)
def test_what_a_scheduler_cannot_give_is_refused_by_its_place(
    kind: str, facts: SchedulerFacts, resources: dict[str, Any], expected: list[str]
) -> None:
    assert pointers(kind, facts, job(**resources)) == [f"#/resources/{field}" for field in expected]


@pytest.mark.parametrize("folder", ["/a b", "/a;id", "/$(id)", "/a:b", "/a,b", "relative", "/a'b", "/é", "/a\nb"])
@pytest.mark.parametrize("facts", [OPENPBS, TORQUE, WRAPPER])
def test_qsub_gets_no_folder_that_it_would_read_as_something_else(facts: SchedulerFacts, folder: str) -> None:
    with pytest.raises(InvalidRequest):
        scheduler("pbs").submit(job(folder), facts)


def test_a_name_that_is_not_the_gateways_own_is_never_sent() -> None:
    for kind, facts in (("pbs", OPENPBS), ("slurm", SLURM), ("direct", DIRECT)):
        for name in ("x", "gw-0123456789ab;id", "gw-0123456789ab\n", "gw-0123456789AB"):
            with pytest.raises(ValueError, match="not the name of a submission"):
                scheduler(kind).submit(Submission(name, "/c", Resources()), facts)
            with pytest.raises(ValueError, match="not the name of a submission"):
                scheduler(kind).find([name], facts)


def test_only_multi_node_jobs_of_the_wrappers_repeat_their_nodes_on_the_command_line() -> None:
    line = scheduler("pbs").submit(job(nodes=2, cpus=3), WRAPPER).line()
    assert "-l nodes=2:ppn=3,mppnppn=3" in line
    assert "mppnppn" not in scheduler("pbs").submit(job(cpus=3), WRAPPER).line()
    assert "mppnppn" not in scheduler("pbs").submit(job(nodes=2), OPENPBS).line()


IDS = ["1.server", "2;id", "$(id)", "3 4", "'x'", "`id`", "-f", "a\nb"]


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("pbs", OPENPBS),
        ("pbs", TORQUE),
        ("pbs", WRAPPER),
        ("slurm", SchedulerFacts("slurm", "", {"sacct": "yes"})),
        ("direct", DIRECT),
    ],
)
def test_no_id_is_ever_run_by_the_shell(kind: str, facts: SchedulerFacts) -> None:
    stubs = "".join(
        f"{name}() {{ printf '%s\\0' \"$@\"; }}\n" for name in ("qstat", "qdel", "squeue", "sacct", "scancel")
    )
    poison = 'id() { echo alice; [ "$*" = -un ] || echo EXECUTED; }\n'
    made = scheduler(kind)
    for command in (made.query(IDS, facts), made.cancel(IDS, facts)):
        stdout, stderr, _ = bash(stubs + poison + command.line())
        assert "EXECUTED" not in stdout + stderr
        if kind == "pbs":
            assert set(IDS) <= set(stdout.replace("@qstat", "\0").split("\0"))


@pytest.mark.parametrize("folder", ["/tmp/a b'$(id)\"%j", "/tmp/plain"])
def test_sbatch_gets_its_paths_whole(folder: str, tmp_path: Any) -> None:
    control = str(tmp_path) + folder
    stub = f"sbatch() {{ printf '%s\\n' \"$@\"; echo '17;east'; }}\nmkdir -p {shlex.quote(control)}\n"
    stdout, _, status = bash(stub + scheduler("slurm").submit(job(control), SLURM).line())
    escaped = control.replace("%", "%%")
    assert stdout.split("\n")[:5] == [
        "--parsable",
        f"--job-name={NAME}",
        f"--output={escaped}/scheduler.out",
        f"--error={escaped}/scheduler.err",
        f"{control}/job.sh",
    ]
    assert status == 0
    assert scheduler("slurm").submit(job(control), SLURM).parse(stdout, "", 0) == "17"


def test_the_id_is_published_once_and_a_second_submission_only_reads_it(tmp_path: Any) -> None:
    line = scheduler("pbs").submit(job(str(tmp_path)), OPENPBS).line()
    stub = f"qsub() {{ echo called >>{tmp_path}/calls; echo 'Welcome'; echo 17.server; echo; }}\n"
    command = scheduler("pbs").submit(job(str(tmp_path)), OPENPBS)
    for _ in range(2):
        assert command.parse(*bash(stub + line)) == "17.server"
    assert (tmp_path / "scheduler_id").read_text() == "17.server\n"
    assert (tmp_path / "calls").read_text() == "called\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls", "scheduler_id"]


def test_a_refused_submission_publishes_nothing_and_keeps_its_status(tmp_path: Any) -> None:
    line = scheduler("pbs").submit(job(str(tmp_path)), OPENPBS).line()
    _, stderr, status = bash(f"qsub() {{ echo 'qsub: Unknown queue' >&2; return 170; }}\n{line}")
    assert (stderr, status) == ("qsub: Unknown queue\n", 170)
    assert list(tmp_path.iterdir()) == []


def test_openpbs_without_a_history_is_asked_again_without_x() -> None:
    words = "PBS is not configured to maintain job history 3.pbshost"
    stub = (
        f"qstat() {{ if [ \"$1\" = -x ]; then echo 'qstat: {words}' >&2;\n"
        'else printf \'{\\n"Jobs":{"3.pbshost":{"job_state":"R"}}}\\n\'; fi; }\n'
    )
    command = scheduler("pbs").query(["3.pbshost"], OPENPBS)
    answer = command.parse(*bash(stub + command.line()))
    assert str(answer.jobs["3.pbshost"].phase) == "running"
