"""Launching from the panel: gallery, form, sweep, preview, a container of one's own."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Page, expect
from steps import launch, open_case, open_gallery, wait_for_end

pytestmark = pytest.mark.real


def test_a_case_is_chosen_filled_in_and_launched(page: Page, api: httpx.Client) -> None:
    open_case(page, "Moving lid")
    page.get_by_label("Reynolds number", exact=True).fill("250")
    page.get_by_role("combobox", name="Scheme").select_option(label="Central")
    page.get_by_text("Time", exact=True).click()
    page.get_by_label("Time steps", exact=True).fill("3")
    page.get_by_label("Time between steps [s]", exact=True).fill("0")
    page.get_by_label("Name", exact=True).fill("from the form")
    page.get_by_label("Tags", exact=True).fill("study:browser")
    job = launch(page)
    kept = api.get(f"/api/v1/jobs/{job['id']}").json()
    assert kept["case"] == "lid"
    assert kept["name"] == "from the form"
    assert kept["tags"] == {"study": "browser"}
    wanted = {"reynolds": 250, "scheme": "central", "steady": False, "steps": 3, "pace": 0, "status": 0}
    assert kept["values"] == wanted
    assert wait_for_end(api, job["id"])["state"] == "succeeded"


def test_a_value_that_the_gateway_refuses_is_named_at_its_field(page: Page) -> None:
    open_case(page, "Moving lid")
    page.get_by_label("Reynolds number", exact=True).fill("99999")
    expect(page.locator(".sg-launch")).to_contain_text("10000")
    expect(page.get_by_text("Some values are refused.")).to_be_visible()
    page.get_by_label("Reynolds number", exact=True).fill("120")
    expect(page.get_by_text("Some values are refused.")).to_have_count(0)


def test_a_sweep_is_counted_before_it_is_launched(page: Page, api: httpx.Client) -> None:
    open_case(page, "Moving lid")
    page.get_by_text("Sweep over parameters").click()
    page.get_by_label("Vary a parameter").select_option("reynolds")
    axis = page.locator(".sg-sweep-axis input")
    axis.fill("100:x")
    expect(page.locator(".sg-sweep-axis")).to_contain_text("no number")
    expect(page.locator(".sg-launch-button")).to_be_disabled()
    axis.fill("100:300:100")
    page.get_by_label("Vary a parameter").select_option("status")
    page.locator(".sg-sweep-axis input").last.fill("0, 3")
    expect(page.locator(".sg-sweep-count")).to_have_text("6 jobs")
    expect(page.locator(".sg-launch-button")).to_have_text("Launch 6 jobs")
    page.get_by_text("Time", exact=True).click()
    page.get_by_label("Time steps", exact=True).fill("1")
    page.get_by_label("Time between steps [s]", exact=True).fill("0")
    sweep = launch(page)
    rows = api.get(f"/api/v1/sweeps/{sweep['id']}/table").json()["items"]
    assert sorted((row["values"]["reynolds"], row["values"]["status"]) for row in rows) == [
        (reynolds, status) for reynolds in (100, 200, 300) for status in (0, 3)
    ]
    page.get_by_role("status").filter(has_text="6 of 6 jobs have ended: 3 succeeded, 3 failed").wait_for()
    table = page.get_by_role("region", name="Jobs", exact=True)
    expect(table.get_by_role("row")).to_have_count(7)
    table.get_by_role("button", name="status").click()
    expect(table.get_by_role("row").last).to_contain_text("failed")
    with page.expect_download() as download:
        page.get_by_role("link", name="Table as CSV").click()
    assert len(download.value.path().read_text().splitlines()) == 7
    for row in (1, 2):
        table.get_by_role("row").nth(row).get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare 2 chosen jobs").click()
    expect(page.get_by_role("region", name="Table of differences")).to_contain_text("reynolds")


def test_the_script_is_shown_before_anything_is_stored(page: Page, api: httpx.Client) -> None:
    before = len(api.get("/api/v1/jobs?limit=200").json()["items"])
    open_case(page, "Moving lid")
    page.get_by_role("button", name="Preview the script").click()
    expect(page.locator("pre.sg-script")).to_contain_text("#!/bin/bash")
    assert len(api.get("/api/v1/jobs?limit=200").json()["items"]) == before


def test_the_form_remembers_what_was_launched_last(page: Page) -> None:
    open_case(page, "Moving lid")
    page.get_by_label("Reynolds number", exact=True).fill("777")
    page.get_by_text("Time", exact=True).click()
    page.get_by_label("Time steps", exact=True).fill("1")
    launch(page)
    page.get_by_role("heading", name="Moving lid").wait_for()
    page.keyboard.press("Control+Shift+L")
    open_case(page, "Moving lid")
    expect(page.get_by_label("Reynolds number", exact=True)).to_have_value("777")


def test_a_container_of_ones_own_is_launched_with_its_outputs(page: Page, api: httpx.Client) -> None:
    open_gallery(page)
    page.get_by_role("button", name="My own container").click()
    page.get_by_label("Script (bash, in the job’s folder)").fill("echo 42 > answer.txt; echo no > other.txt")
    page.get_by_label("Outputs (one pattern a line; none: everything)").fill("answer.*")
    page.get_by_label("Name", exact=True).fill("mine")
    job = launch(page)
    ended = wait_for_end(api, job["id"])
    assert ended["state"] == "succeeded"
    files = api.get(f"/api/v1/jobs/{job['id']}/outputs?prefix=&delimiter=").json()["files"]
    assert [file["path"] for file in files] == ["answer.txt"]
