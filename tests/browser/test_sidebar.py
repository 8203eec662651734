"""The list of jobs: kept current by itself, filtered, grouped by sweep, acted on."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Page, expect
from steps import (
    answer_dialog,
    badge,
    keeps_layout,
    open_job,
    open_tab,
    row_of,
    show_jobs,
    submit,
    wait_for_end,
    wait_for_lab,
)

pytestmark = pytest.mark.real


def sweep(api: httpx.Client, name: str, **values: object) -> str:
    """Launch three jobs as a sweep; return its id."""
    job = {"case": "lid", "name": name, "values": values}
    answer = api.post("/api/v1/sweeps", json={"job": job, "grid": {"reynolds": [100, 200, 300]}, "name": name})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_job_launched_elsewhere_appears_and_its_end_is_announced(page: Page, api: httpx.Client) -> None:
    show_jobs(page)
    expect(page.get_by_role("tree", name="Jobs, newest first").or_(page.locator(".sg-empty"))).to_be_visible()
    submit(api, "from a shell", steps=40, pace=0.1)
    row = row_of(page, "from a shell")
    expect(row).to_contain_text("running")
    expect(row.get_by_role("progressbar")).to_be_visible()
    # Nobody looks at the list when it ends: its icon has a mark until somebody does.
    tab = page.locator('[data-id="science-gateway-sidebar"]').first
    tab.click()
    expect(tab).to_have_attribute("data-sg-ended", "1")
    notice = page.locator(".Toastify__toast", has_text="“from a shell”: succeeded")
    notice.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".sg-job").get_by_role("heading", name="from a shell")).to_be_visible()
    show_jobs(page)
    expect(tab).not_to_have_attribute("data-sg-ended", "1")
    expect(row).to_contain_text("succeeded")


def test_the_list_is_narrowed_and_stays_so(page: Page, api: httpx.Client) -> None:
    for name, status in (("narrow good", 0), ("narrow bad", 1)):
        wait_for_end(api, submit(api, name, {"tags": {"study": "narrow"}}, steps=1, pace=0, status=status))
    show_jobs(page)
    row = page.locator(".sg-sidebar .sg-row")
    page.get_by_label("Search for a name, notes or an id").fill("narrow")
    expect(row).to_have_count(2)
    page.get_by_role("combobox", name="State").select_option(label="Failed")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("narrow bad")
    page.get_by_label("Search for a name, notes or an id").fill("no job has this name")
    expect(page.get_by_text("No job is like that.")).to_be_visible()
    page.get_by_role("button", name="Show all jobs").click()
    page.get_by_role("button", name="More filters").click()
    with page.expect_response(lambda response: keeps_layout(response, '"tag":"study:narrow"')):
        page.get_by_label("Tag, as name or name:value").fill("study:narrow")
    expect(row).to_have_count(2)
    page.reload()
    wait_for_lab(page)
    show_jobs(page)
    expect(page.get_by_label("Tag, as name or name:value")).to_have_value("study:narrow")
    expect(row).to_have_count(2)


def test_the_jobs_of_a_sweep_are_one_group_and_are_cancelled_together(page: Page, api: httpx.Client) -> None:
    sweep(api, "lids", steps=5000, pace=0.1)
    show_jobs(page)
    group = page.locator(".sg-row-sweep", has_text="lids")
    expect(group).to_contain_text("sweep of 3 jobs")
    expect(page.locator(".sg-row-below")).to_have_count(0)
    tree = page.get_by_role("tree", name="Jobs, newest first")
    tree.press("Home")
    tree.press("ArrowRight")
    expect(page.locator(".sg-row-below")).to_have_count(3)
    expect(page.locator(".sg-row-below", has_text="running").first).to_be_visible()
    for key in ("ArrowDown", "Space", "ArrowDown", "Space"):
        tree.press(key)
    chosen = page.get_by_role("toolbar", name="Chosen jobs")
    expect(chosen).to_contain_text("2 chosen")
    chosen.get_by_role("button", name="Cancel…").click()
    answer_dialog(page, "Cancel job")
    expect(page.locator(".sg-row-below", has_text="cancelled")).to_have_count(2)
    group.click(modifiers=["ControlOrMeta"])
    page.get_by_role("toolbar", name="Chosen jobs").get_by_role("button", name="Cancel…").click()
    answer_dialog(page, "Cancel job")
    expect(group.locator(".sg-sweep-counts")).to_contain_text("3 cancelled")


def test_what_was_open_is_open_again_after_a_reload(page: Page, api: httpx.Client) -> None:
    wait_for_end(api, submit(api, "kept open", steps=3, pace=0))
    view = open_job(page, "kept open")
    with page.expect_response(lambda response: keeps_layout(response, '"tab":"log"')):
        expect(open_tab(view, "Log").get_by_role("log")).to_contain_text("end with status 0")
    page.reload()
    wait_for_lab(page)
    expect(badge(view)).to_have_text("succeeded")
    expect(view.get_by_role("tab", name="Log")).to_have_attribute("aria-selected", "true")
    expect(view.get_by_role("log")).to_contain_text("end with status 0")
    expect(page.locator(".sg-sidebar")).to_be_visible()
