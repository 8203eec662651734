"""The view of one job: what it does, as it does it, and what can be done with it."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect
from steps import (
    answer_dialog,
    badge,
    launch,
    open_job,
    open_tab,
    record_words,
    recorded_words,
    submit,
    wait_for_end,
)

pytestmark = pytest.mark.real


def test_a_running_job_is_watched_and_then_cancelled(page: Page, api: httpx.Client) -> None:
    job = submit(api, "watched", steps=5000, pace=0.1)
    view = open_job(page, "watched")
    expect(badge(view)).to_have_text("running")
    expect(view.get_by_text(re.compile(r"Progress: \d+ of 5,?000 steps"))).to_be_visible()
    expect(view.get_by_role("progressbar", name="Progress of watched")).to_be_visible()
    view.get_by_label("New tag, as name: value").fill("study: lids")
    view.get_by_role("button", name="Add", exact=True).click()
    expect(view.get_by_role("list", name="Tags")).to_contain_text("study: lids")
    log = open_tab(view, "Log").get_by_role("log")
    expect(log).to_contain_text(re.compile(r"step \d+ of 5000"))
    shown = int(re.findall(r"step (\d+) of", log.inner_text())[-1])
    expect(log).not_to_contain_text(f"step {shown} of 5000")  # later lines have taken its place
    assert int(re.findall(r"step (\d+) of", log.inner_text())[-1]) > shown
    plots = open_tab(view, "Plots")
    expect(plots.get_by_role("img", name="Plot of Residuals")).to_be_visible()
    expect(plots.locator("canvas").first).to_be_visible()
    rows = plots.get_by_text(re.compile(r"\d+ rows; the last values"))
    drawn = int(re.findall(r"\d+", rows.inner_text())[0])
    expect(rows).to_contain_text(re.compile(rf"^(?!{drawn} rows)\d+ rows"))
    record_words(page, ".sg-job-title .sg-state")
    view.get_by_role("button", name="Cancel…").click()
    answer_dialog(page, "Cancel the job")
    expect(badge(view)).to_have_text("cancelled")
    words = recorded_words(page)
    assert words[:2] == ["running", "stopping"]
    assert words[-1] == "cancelled"
    assert set(words) <= {"running", "stopping", "cancelled"}
    assert wait_for_end(api, job)["reason"] == "cancelled_by_user"


def test_a_failed_job_says_why_and_runs_again_with_changes(page: Page, api: httpx.Client) -> None:
    job = submit(api, "goes wrong", {"tags": {"study": "first"}}, steps=2, pace=0, status=3)
    wait_for_end(api, job)
    view = open_job(page, "goes wrong")
    expect(badge(view)).to_have_text("failed")
    expect(view.get_by_role("alert")).to_contain_text("exit code 3")
    expect(view.get_by_label("The last lines of")).to_contain_text("end with status 3")
    view.get_by_role("button", name="Launch again with changes").click()
    expect(page.get_by_text('The values of "goes wrong", to be changed.')).to_be_visible()
    page.get_by_text("Time", exact=True).click()
    expect(page.get_by_label("Exit status", exact=True)).to_have_value("3")
    page.get_by_label("Exit status", exact=True).fill("0")
    page.get_by_label("Name", exact=True).fill("goes right")
    page.get_by_role("textbox", name="Tags").fill("")
    again = launch(page)
    assert again["rerun_of"] == job
    assert again["tags"] == {}
    second = page.locator(".sg-job", has=page.get_by_role("heading", name="goes right"))
    expect(badge(second)).to_have_text("succeeded")


def test_a_log_is_searched_and_downloaded_and_the_rest_of_the_job_is_told(page: Page, api: httpx.Client) -> None:
    job = submit(api, "told", steps=400, pace=0)
    wait_for_end(api, job)
    view = open_job(page, "told", "Log")
    log = view.get_by_role("log")
    expect(log).to_contain_text("end with status 0")
    search = view.get_by_label("Search in the log")
    search.fill("step 250 of")
    expect(view.get_by_text("1 of 1", exact=True)).to_be_visible()
    expect(log).to_contain_text("step 250 of 400")
    search.fill("0 of 400")
    expect(view.get_by_text("1 of 40", exact=True)).to_be_visible()
    search.press("Enter")
    expect(view.get_by_text("2 of 40", exact=True)).to_be_visible()
    with page.expect_download() as download:
        view.get_by_role("link", name="Download", exact=True).click()
    lines = download.value.path().read_text().splitlines()
    assert lines[1:-1] == [f"step {number} of 400" for number in range(1, 401)]
    expect(open_tab(view, "Events").get_by_role("listitem").last).to_contain_text("succeeded")
    expect(open_tab(view, "Script")).to_contain_text("#!/bin/bash")


def test_a_job_gets_another_name_a_tag_and_notes_and_is_deleted(page: Page, api: httpx.Client) -> None:
    job = submit(api, "first name", steps=1, pace=0)
    wait_for_end(api, job)
    view = open_job(page, "first name")
    view.get_by_role("button", name="Edit Name").click()
    view.get_by_role("textbox", name="Name", exact=True).fill("second name")
    page.keyboard.press("Enter")
    view = page.locator(".sg-job", has=page.get_by_role("heading", name="second name"))
    view.get_by_label("New tag, as name: value").fill("study: lids")
    view.get_by_role("button", name="Add", exact=True).click()
    expect(view.get_by_role("list", name="Tags")).to_contain_text("study: lids")
    view.get_by_role("button", name="Edit Notes").click()
    view.get_by_role("textbox", name="Notes").fill("Look at the vortex.")
    view.get_by_role("button", name="Save").click()
    expect(view.get_by_role("textbox", name="Notes")).to_have_count(0)
    expect(view.get_by_text("Look at the vortex.")).to_be_visible()
    kept = api.get(f"/api/v1/jobs/{job}").json()
    assert (kept["name"], kept["tags"], kept["notes"]) == ("second name", {"study": "lids"}, "Look at the vortex.")
    view.get_by_role("button", name="Delete…").click()
    answer_dialog(page, "Delete")
    expect(view).to_have_count(0)
    expect(page.locator(".sg-sidebar .sg-row", has_text="second name")).to_have_count(0)
    assert api.get(f"/api/v1/jobs/{job}").status_code == 404
