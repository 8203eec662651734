"""Every scheduler's answer about two jobs, damaged in every way: a bad entry hides no good one, nothing false ends.

The answers themselves are replayed by the tests beside this one; `testbed/record_scheduler.py` makes them anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from scheduler_replay import load, replay, summary

from gateway.compute.scheduler.base import Command, Phase, QueryAnswer, Scheduler, SchedulerFacts
from gateway.compute.scheduler.direct import Direct, DirectSettings
from gateway.compute.scheduler.pbs import Pbs, PbsSettings
from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.errors import SchedulerError

PBS, SLURM = Pbs(PbsSettings(kind="pbs")), Slurm(SlurmSettings(kind="slurm"))


@dataclass(frozen=True)
class Site:
    """A scheduler, and its whole answer about a job that has ended and one that runs."""

    name: str
    scheduler: Scheduler
    facts: SchedulerFacts
    ended: str
    running: str
    answer: str
    block: str
    """A whole entry about a job that nobody asked for, as it stands in an answer."""

    @property
    def ids(self) -> list[str]:
        return [self.ended, self.running]

    def query(self) -> Command[QueryAnswer]:
        return self.scheduler.query(self.ids, self.facts)

    def read(self, text: str, stderr: str = "", status: int = 0) -> QueryAnswer | None:
        """Parse an answer; None where it is refused as a whole."""
        try:
            return self.query().parse(text, stderr, status)
        except SchedulerError:
            return None


def _openpbs() -> Site:
    whole, running = (load("openpbs-23.06")[name]["stdout"] for name in ("finished_exit3_json", "running_json"))
    first = whole[whole.index('\t\t"4.pbshost"') : whole.rindex("\n\t}\n}")]
    second = running[running.index('\t\t"1.pbshost"') : running.rindex("\n\t}\n}")]
    text = f"{whole[: whole.index(first[:12])]}{first},\n{second}\n\t}}\n}}\n\n@qstat 0\n"
    block = first.replace("4.pbshost", "77.pbshost") + ",\n"
    return Site("openpbs", PBS, SchedulerFacts("openpbs", "23.06.06"), "4.pbshost", "1.pbshost", text, block)


def _torque() -> Site:
    job = "Job Id: {}\n    Job_Name = gw-0123456789ab\n    job_state = {}\n    exit_status = {}\n\n"
    text = job.format("4.head", "C", 3) + job.format("1.head", "R", 0) + "\n@qstat 0\n"
    return Site("torque", PBS, SchedulerFacts("torque", "6"), "4.head", "1.head", text, job.format("77.head", "C", 0))


def _slurm_torque() -> Site:
    text = load("slurm-torque-22.05")["mixed"]["stdout"]
    first = text[: text.index("Job Id:", 10)]
    block = first.replace(first.split("\n")[0], first.split("\n")[0].replace("1", "77"))
    return Site("slurm-torque", PBS, SchedulerFacts("slurm-torque", "22.05.8"), "1", "4", text, block)


def _slurm() -> Site:
    text = load("slurm-22.05")["mixed"]["stdout"]
    line = next(line for line in text.split("\n") if line.startswith("1 "))
    return Site("slurm", SLURM, SchedulerFacts("slurm", "22", {"sacct": "no"}), "1", "4", text, f"77{line[2:]}\n")


def _accounts() -> Site:
    line = next(line for line in load("slurm-22.05")["mixed"]["stdout"].split("\n") if line.startswith("4 "))
    text = f"{line}\n@squeue 0\n1|FAILED|3:0|gw-0123456789ab\n\n@sacct 0\n"
    facts = SchedulerFacts("slurm", "22", {"sacct": "yes"})
    return Site("sacct", SLURM, facts, "1", "4", text, f"77{line[1:]}\n")


def _direct() -> Site:
    ended, running = "17.4242.0123abcd", "18.4243.0123abcd"
    text = f"boot 0123abcd\n{ended} - -\n{running} S 4243\n@end\n"
    scheduler = Direct(DirectSettings(kind="direct"))
    return Site("direct", scheduler, SchedulerFacts("direct"), ended, running, text, "77.1.0123abcd - -\n")


SITES = [_openpbs(), _torque(), _slurm_torque(), _slurm(), _accounts(), _direct()]
every_site = pytest.mark.parametrize("site", SITES, ids=[site.name for site in SITES])


def is_honest(site: Site, seen: QueryAnswer | None) -> bool:
    """Say whether nothing is shown that the whole answer does not show."""
    whole = site.read(site.answer)
    assert whole is not None
    for scheduler_id, job in (seen.jobs if seen else {}).items():
        true = whole.jobs[scheduler_id]
        if job.phase is not true.phase or job.exit_status not in (true.exit_status, None):
            return False
    return True


ARRAYS = {
    "held": {"1_0": ("held", None, None), "1_1": ("held", None, None), "1_2": ("held", None, None)},
    "ended": {"2_0": ("ended", 0, None), "2_1": ("ended", 1, "exit_code"), "2_2": ("ended", 2, "exit_code")},
    "running": {"3_0": ("running", None, None), "3_1": ("running", None, None)},
    "cancelled_one": {"3_0": ("ended", 143, "terminated"), "3_1": ("running", None, None)},
}


@pytest.mark.parametrize("name", ARRAYS)
def test_each_task_of_an_array_is_what_slurm_recorded_of_it(name: str) -> None:
    facts = SchedulerFacts("slurm", "22.05.8", {"sacct": "no"})
    answer = replay(SLURM.query([*ARRAYS[name], "2_7", "999999_0"], facts), load("slurm-arrays-22.05")[name])
    assert (summary(answer), answer.problems) == (ARRAYS[name], ())


def test_an_array_is_found_once_by_its_name() -> None:
    facts = SchedulerFacts("slurm", "22.05.8", {"sacct": "no"})
    found = replay(SLURM.find(["gw-000000000002"], facts), load("slurm-arrays-22.05")["find"])
    assert found == {"gw-000000000002": ("2",)}


@every_site
def test_the_whole_answer_shows_both_jobs(site: Site) -> None:
    seen = site.read(site.answer)
    assert seen is not None
    assert (seen.jobs[site.ended].phase, seen.jobs[site.running].phase) == (Phase.ENDED, Phase.RUNNING)
    assert seen.jobs[site.ended].exit_status != 0 or site.name in ("slurm", "slurm-torque")
    assert seen.problems == ()


@every_site
def test_an_answer_cut_off_at_any_byte_shows_nothing_false_and_says_what_is_missing(site: Site) -> None:
    raw = site.answer.encode()
    for length in range(0, len(raw) - 1, max(1, len(raw) // 200)):
        seen = site.read(raw[:length].decode(errors="replace"))
        assert is_honest(site, seen)
        assert seen is None or len(seen.jobs) == 2 or seen.problems, raw[:length]


@every_site
def test_any_byte_that_is_no_utf8_shows_nothing_false(site: Site) -> None:
    raw = site.answer.encode()
    for place in range(0, len(raw), max(1, len(raw) // 200)):
        seen = site.read((raw[:place] + b"\xff" + raw[place + 1 :]).decode(errors="replace"))
        assert is_honest(site, seen), raw[max(0, place - 40) : place + 40]


@every_site
def test_a_line_of_other_text_anywhere_shows_nothing_false(site: Site) -> None:
    lines = site.answer.split("\n")
    noises = ["Warning: maintenance on Monday", "4 users are logged in", "1 job(s) COMPLETED", "}{", "\x00\x1b[31m"]
    for place in range(len(lines)):
        for noise in noises:
            seen = site.read("\n".join([*lines[:place], noise, *lines[place:]]))
            assert is_honest(site, seen), (place, noise)


@every_site
def test_text_before_the_answer_hides_neither_job(site: Site) -> None:
    seen = site.read(f"Warning: maintenance on Monday\n{site.answer}")
    assert seen is not None
    assert set(seen.jobs) == set(site.ids)


@every_site
def test_jobs_that_nobody_asked_for_are_left_out_and_hide_none(site: Site) -> None:
    places = [site.answer.index(line) for line in site.answer.split("\n") if site.ended in line.split("|")[0]]
    seen = site.read(site.answer[: places[0]] + site.block * 3 + site.answer[places[0] :])
    assert seen is not None
    assert summary(seen) == summary(site.query().parse(site.answer, "", 0))


@every_site
@pytest.mark.parametrize("status", [0, 1, 2, 35, 124, 127, 137, 143, 153, 255])
def test_an_answer_without_a_word_never_ends_a_job_and_a_hung_command_is_no_answer(site: Site, status: int) -> None:
    seen = site.read("", "", status)
    assert seen is None or (not seen.jobs and seen.problems)


@every_site
def test_ten_megabytes_of_other_jobs_hide_neither_of_the_two(site: Site) -> None:
    place = site.answer.index(next(line for line in site.answer.split("\n") if site.ended in line.split("|")[0]))
    seen = site.read(site.answer[:place] + site.block * (10_000_000 // len(site.block)) + site.answer[place:])
    assert seen is not None
    assert set(seen.jobs) == set(site.ids)


@every_site
def test_ten_megabytes_of_noise_show_no_job(site: Site) -> None:
    for noise in ("x" * 10_000_000, f"{'4 ' * 500}\n" * 10_000):
        seen = site.read(noise)
        assert seen is None or not seen.jobs
