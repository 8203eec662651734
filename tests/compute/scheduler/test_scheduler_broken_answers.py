"""Answers that are damaged: what can be read is read, the rest is a problem, and never an end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scheduler_replay import load, summary

from gateway.compute.scheduler.base import Command, Phase, QueryAnswer, Scheduler, SchedulerFacts, Submission
from gateway.compute.scheduler.direct import Direct, DirectSettings
from gateway.compute.scheduler.pbs import Pbs, PbsSettings
from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.errors import SchedulerError
from gateway.model.specification import Resources

OPENPBS = SchedulerFacts("openpbs", "23.06.06")
PBS = Pbs(PbsSettings(kind="pbs"))
WHOLE = load("openpbs-23.06")["finished_exit3_json"]["stdout"]
RUNNING = load("openpbs-23.06")["running_json"]["stdout"]
IDS = ["4.pbshost", "1.pbshost"]


def both(change: Callable[[str], str] = lambda text: text) -> str:
    """An answer with two jobs; `change` damages the first."""
    first = WHOLE[WHOLE.index('\t\t"4.pbshost"') : WHOLE.rindex("\n\t}\n}")]
    second = RUNNING[RUNNING.index('\t\t"1.pbshost"') : RUNNING.rindex("\n\t}\n}")]
    head = WHOLE[: WHOLE.index('\t\t"4.pbshost"')]
    return f"{head}{change(first)},\n{second}\n\t}}\n}}\n"


def answer(text: str, stderr: str = "", status: int = 0) -> QueryAnswer:
    return PBS.query(IDS, OPENPBS).parse(text, stderr, status)


GOOD = {"4.pbshost": ("ended", 3, "exit_code"), "1.pbshost": ("running", None, None)}
VARIABLE = '"PBS_O_HOST":\t"pbshost"'


@pytest.mark.parametrize(
    "damage",
    [
        '"X":\t005',
        '"X":\t007abc',
        '"X":\tTrue',
        '"X":\t1.2.3',
        '"X":\t-',
        '"X":\t"a\\x"',
        '"X":\t"C:\\dir\\new"',
        '"X":\t"\\u12"',
        '"X":\t"he said "no""',
        '"X":\t"a\tb"',
        '"X":\t"\ufffd\ufffd"',
        '"X":\t',
        f'"X":\t{"9" * 6000}',
        '"X":\t"{"',
        '"X":\t"y",',
        '"X":\t{y',
        '"X":\t[[[',
    ],
)
def test_a_value_that_is_not_json_hides_no_job(damage: str) -> None:
    text = both(lambda job: job.replace(VARIABLE, f"{VARIABLE},\n\t\t\t\t{damage}"))
    assert summary(answer(text)) == GOOD
    assert answer(text).problems == ()


def test_a_missing_comma_and_a_surplus_one_hide_no_job() -> None:
    text = both(lambda job: job.replace('"job_state":\t"F",', '"job_state":\t"F"').replace(VARIABLE, f"{VARIABLE},"))
    assert summary(answer(text)) == GOOD


def test_text_around_the_answer_is_passed_over() -> None:
    assert summary(answer(f"Welcome {{alice}}\n{both()}\n}} bye {{\n")) == GOOD
    assert summary(answer(f"{{ unfinished\n{both()}")) == GOOD


def test_several_documents_are_one_answer() -> None:
    assert summary(answer(WHOLE + RUNNING)) == GOOD


@pytest.mark.parametrize("key", ["Exit_status", "substate"])
def test_a_job_with_a_number_that_is_none_is_a_problem(key: str) -> None:
    text = both(lambda job: job.replace(f'"{key}":\t', f'"{key}":\t"x'))
    assert set(summary(answer(text))) == {"1.pbshost"}
    assert "4.pbshost" in answer(text).problems[0]


@pytest.mark.parametrize("state", ['"?"', "7", "null", '["F"]', "{}", '"M"'])
def test_a_job_in_no_state_is_a_problem_and_not_an_end(state: str) -> None:
    text = both(lambda job: job.replace('"job_state":\t"F"', f'"job_state":\t{state}'))
    assert set(summary(answer(text))) == {"1.pbshost"}
    assert answer(text).problems != ()


def test_contradicting_attributes_of_a_broken_job_do_not_count() -> None:
    text = both(lambda job: job.replace('"job_state":\t"F",', '"job_state":\t"F",\n\t\t\t"job_state":\t"R",\n\t\t\t{,'))
    assert set(summary(answer(text))) == {"1.pbshost"}


def test_an_answer_cut_off_anywhere_never_shows_a_job_that_the_whole_one_does_not_show() -> None:
    text = both()
    for length in range(0, len(text), 7):
        try:
            seen = answer(text[:length])
        except SchedulerError:
            continue
        assert summary(seen).items() <= GOOD.items()
        assert len(seen.jobs) == 2 or seen.problems


def test_an_empty_answer_is_an_error_also_with_status_0() -> None:
    for status in (0, 1, 35, 153, 255):
        with pytest.raises(SchedulerError):
            answer("", "", status)


def test_a_jobs_own_variables_cannot_stand_for_another_job() -> None:
    forged = 'x",\n\t\t"1.pbshost":\t{\n\t\t\t"job_state":\t"F"\n\t\t}'
    text = both(lambda job: job.replace('"PBS_O_HOST":\t"pbshost"', f'"PBS_O_HOST":\t{json.dumps(forged)}'))
    assert summary(answer(text)) == GOOD


def test_ten_megabytes_of_jobs_are_read_also_when_one_of_them_is_broken() -> None:
    block = WHOLE[WHOLE.index('\t\t"4.pbshost"') : WHOLE.rindex("\n\t}\n}")]
    jobs = [block.replace('"4.pbshost"', f'"{number}.pbshost"') for number in range(1, 6501)]
    jobs[99] = jobs[99].replace('"Priority":\t0', '"Priority":\t005')
    jobs[100] = jobs[100].replace('"job_state":\t"F"', '"job_state":\t?')
    text = '{\n\t"timestamp":\t1,\n\t"Jobs":\t{\n' + ",\n".join(jobs) + "\n\t}\n}\n"
    assert len(text) > 10_000_000
    ids = [f"{number}.pbshost" for number in range(1, 6501)]
    seen = PBS.query(ids, OPENPBS).parse(text, "", 0)
    assert len(seen.jobs) == 6499
    assert seen.problems[0].startswith("job 101.pbshost")


def test_ten_megabytes_of_noise_are_an_error() -> None:
    for noise in ("{\n" * 5_000_000, "[" * 10_000_000, '\t\t"1.pbshost":\t{\n' * 600_000):
        with pytest.raises(SchedulerError):
            answer(noise)


DIALECTS: list[tuple[Scheduler, SchedulerFacts]] = [
    (PBS, OPENPBS),
    (PBS, SchedulerFacts("openpbs", "13", {"json": "no"})),
    (PBS, SchedulerFacts("torque", "6.1.3")),
    (PBS, SchedulerFacts("slurm-torque", "22.05.8")),
    (Slurm(SlurmSettings(kind="slurm")), SchedulerFacts("slurm", "22.05.8", {"sacct": "yes"})),
    (Slurm(SlurmSettings(kind="slurm")), SchedulerFacts("slurm", "22.05.8", {"sacct": "no"})),
    (Direct(DirectSettings(kind="direct")), SchedulerFacts("direct")),
]
NAMES = ["gw-0123456789ab", "gw-0123456789ac"]
DIRECT_ID = "17.4242.0123abcd"
ALL_IDS = ["4.pbshost", "1.pbshost", "4", "1", DIRECT_ID]
pieces = st.sampled_from(
    [
        *("\n", "\n\n", " ", "\t", "{", "}", "\ufffd", "\x00", "\x85", "²", "|", "@end", "@end\n", '"', "0:0"),
        *("Job Id: 4\n", "Job Id:\t1\n", "\tjob_state = C\n", "    job_state = C\n", "    exit_status = 0\n"),
        *("1|COMPLETED|0:0|x\n", f"{'1':24}{'COMPLETED':24}{'0':16}{'None':80}x\n", "@squeue 0\n", "@sacct 1\n"),
        *("boot 0123abcd\n", f"{DIRECT_ID} S 4242\n", f"{DIRECT_ID} - -\n", "\n@qstat 153\n", "Unknown Job Id 4"),
        *(
            '"Jobs":\t{\n',
            '\t\t"4.pbshost":\t{\n',
            '\t\t\t"job_state":\t"F",\n',
            "\t\t}\n",
            WHOLE,
            RUNNING,
            WHOLE[:900],
        ),
        *("slurm-wlm 22.05.8", "pbs_version = ", "Version: ", "missing qsub\n", "slurm qsub\n", "cannot connect", "17"),
    ]
)
texts = st.lists(pieces | st.text(max_size=20), max_size=12).map("".join)
statuses = st.sampled_from([0, 1, 2, 35, 124, 127, 137, 153, 162, 170, 255])


def commands(scheduler: Scheduler, facts: SchedulerFacts) -> list[Command[Any]]:
    submission = Submission(NAMES[0], "/scratch/c", Resources())
    return [
        scheduler.detect(),
        scheduler.submit(submission, facts),
        scheduler.query(ALL_IDS, facts),
        scheduler.find(NAMES, facts),
        scheduler.cancel(ALL_IDS, facts),
    ]


@pytest.mark.parametrize(("scheduler", "facts"), DIALECTS)
@given(stdout=texts, stderr=texts, status=statuses)
@settings(max_examples=150, deadline=None)
def test_no_text_makes_a_parser_raise_anything_but_a_scheduler_error(
    scheduler: Scheduler, facts: SchedulerFacts, stdout: str, stderr: str, status: int
) -> None:
    for command in commands(scheduler, facts):
        try:
            command.parse(stdout, stderr, status)
        except SchedulerError:
            continue


@pytest.mark.parametrize(("scheduler", "facts"), DIALECTS)
@given(stdout=st.text(max_size=200), stderr=st.text(max_size=200), status=statuses.filter(bool))
@settings(max_examples=100, deadline=None)
def test_a_failed_query_never_says_that_a_job_has_ended(
    scheduler: Scheduler, facts: SchedulerFacts, stdout: str, stderr: str, status: int
) -> None:
    try:
        seen = scheduler.query(ALL_IDS, facts).parse(stdout, stderr, status)
    except SchedulerError:
        return
    assert all(job.phase is not Phase.ENDED for job in seen.jobs.values())


EXIT_STATUS = WHOLE.index('"Exit_status"')


@given(cut=st.integers(0, len(WHOLE) - 3), junk=texts)
@settings(max_examples=200, deadline=None)
def test_junk_in_any_other_place_never_makes_a_failed_job_a_success(cut: int, junk: str) -> None:
    assume(not EXIT_STATUS < cut < WHOLE.index("\n", EXIT_STATUS) and "xit_status" not in junk)
    try:
        seen = answer(WHOLE[:cut] + junk + WHOLE[cut:])
    except SchedulerError:
        return
    assert "4.pbshost" not in seen.jobs or seen.jobs["4.pbshost"].exit_status != 0
