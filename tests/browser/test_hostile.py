"""Whatever a job is named, says or writes: nothing of it runs in the page, and nothing leaves the server."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from steps import badge, command, open_tab, row_of, show_jobs, wait_for_end

from testbed.lab import Lab

pytestmark = pytest.mark.real

TAG = "<img src=x onerror=window.hacked=1>"
NAME = f"{TAG}\u202egnp.exe <script>window.hacked=1</script>"
SCRIPT = Path(__file__).parent / "cases/hostile.sh"
FILES = ("page.html", "page.xhtml", "notes.md", "picture.svg", "data.json", "table.csv", "field.vtk", "huge.vtk")


def hostile_job(api: httpx.Client) -> str:
    """Run a job that tries everything; return its id."""
    asked = {"name": NAME, "script": SCRIPT.read_text(), "image": None, "tags": {"tag": TAG}, "notes": TAG}
    answer = api.post("/api/v1/jobs", json=asked)
    assert answer.status_code == 202, answer.text
    job = str(answer.json()["id"])
    assert wait_for_end(api, job)["state"] == "failed"
    return job


def test_nothing_of_a_hostile_job_runs(page: Page, context: BrowserContext, lab: Lab, api: httpx.Client) -> None:
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(f"the page asks: {dialog.message}"))
    show_jobs(page)
    hostile_job(api)
    row_of(page, NAME).click()
    view = page.locator(".sg-job").filter(visible=True)
    expect(badge(view)).to_have_text("failed")
    expect(view.get_by_role("heading", level=2)).to_contain_text(NAME)
    for tab in ("Overview", "Events", "Script"):
        open_tab(view, tab)
    expect(view.get_by_role("tabpanel", name="Script")).to_contain_text(TAG)
    log = open_tab(view, "Log")
    expect(log.get_by_role("log")).to_contain_text("<script>window.hacked=1</script>")
    log.get_by_text("Errors", exact=True).click()
    expect(log.get_by_role("log")).to_contain_text(TAG)
    outputs = open_tab(view, "Outputs")
    preview = outputs.get_by_role("region", name="Preview")
    for name in (*FILES, "javascript:window.hacked=1.txt", "\u202etxt.gnp"):
        outputs.get_by_role("treeitem", name=name).click()
        expect(preview.get_by_role("heading", name=name)).to_be_visible()
        expect(preview.get_by_text("Loading…")).to_have_count(0)
        if name == "picture.svg":
            expect(preview.get_by_role("img", name=name)).to_have_js_property("naturalWidth", 40)
        if name == "page.html":
            preview.get_by_role("button", name="Show as text").click()
            expect(preview).to_contain_text("<html><script>")
    outputs.get_by_role("treeitem", name=TAG).dblclick()
    outputs.get_by_role("treeitem", name="a\"b'c.txt").click()
    expect(preview).to_contain_text("inside")
    row_of(page, NAME).click(modifiers=["ControlOrMeta"])
    command(page, "Compare Jobs")
    page.get_by_role("button", name="Add job").click()
    page.get_by_role("list", name="Jobs that can be added").get_by_role("button", name=TAG).first.click()
    expect(page.get_by_role("columnheader", name=TAG)).to_be_visible()
    assert page.evaluate("() => [window.hacked, {}.hacked, document.title.includes('title')]") == [None, None, False]
    assert {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))} == {
        urlsplit(lab.url).netloc
    }


def test_outputs_opened_by_their_address_do_not_run_either(
    page: Page, context: BrowserContext, lab: Lab, api: httpx.Client
) -> None:
    job = hostile_job(api)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    for name in (*FILES, f"{TAG}/a\"b'c.txt"):
        address = f"{lab.url}/science-gateway/api/v1/jobs/{job}/outputs/{quote(name)}"
        headers = context.request.get(address).headers
        assert "sandbox" in headers["content-security-policy"], name
        assert "default-src 'none'" in headers["content-security-policy"], name
        assert headers["x-content-type-options"] == "nosniff", name
        assert headers["content-disposition"].startswith("attachment"), name
        assert not re.search(r"[\r\n]", headers["content-disposition"])
        # As a frame of the page itself: the nearest that a trick could get.
        with page.expect_download() as download:
            page.evaluate(
                "src => document.body.append(Object.assign(document.createElement('iframe'), {src}))",
                address,
            )
        assert download.value.path().stat().st_size > 0
    assert page.evaluate("() => window.hacked") is None
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(lab.url).netloc}
