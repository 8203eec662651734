"""Whatever goes away comes back: the page says what it does not know meanwhile, and never anything wrong."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import httpx
import pytest
from labs import end_jobs, gateway_of, write_settings
from playwright.sync_api import BrowserContext, Locator, Page, expect
from steps import (
    answer_dialog,
    badge,
    open_job,
    open_lab,
    open_tab,
    record_words,
    recorded_words,
    row_of,
    submit,
    wait_for_end,
)

from testbed.images import TestImage
from testbed.lab import Lab
from testbed.proxy import FAIR, Proxy, Weather
from testbed.sshd import SshSite

pytestmark = pytest.mark.real

BADGE = ".sg-job-title .sg-state"


@pytest.fixture(scope="module")
def own_lab(tmp_path_factory: pytest.TempPathFactory, test_image: TestImage) -> Iterator[Lab]:
    """A JupyterLab that a test may kill."""
    folder = tmp_path_factory.mktemp("own-lab")
    with Lab(folder, settings=write_settings(folder, test_image)) as made:
        yield made
        with gateway_of(made) as client:
            end_jobs(client)


def close_what_lab_says(page: Page) -> None:
    """Close JupyterLab's own word about a server that is away, whenever it comes."""
    said = page.locator(".jp-Dialog", has_text="Server Connection Error")
    page.add_locator_handler(said, lambda: said.get_by_role("button", name="Close").click())


def goes_on(view: Locator) -> None:
    """Wait until the log that is open has begun, and the page knows that the job runs."""
    expect(view.get_by_role("log")).to_contain_text(re.compile(r"step \d+ of"))
    expect(badge(view)).to_have_text("running")


def has_whole_log(view: Locator, steps: int) -> None:
    """Wait until the log that is open has every line, once."""
    log = open_tab(view, "Log")
    expect(log.get_by_role("log")).to_contain_text("end with status 0")
    log.get_by_label("Search in the log").fill(f"of {steps}")
    expect(log.get_by_text(f"1 of {steps}", exact=True)).to_be_visible()
    for step in (1, steps // 2, steps):
        log.get_by_label("Search in the log").fill(f"step {step} of")
        expect(log.get_by_text("1 of 1", exact=True)).to_be_visible()


def test_jupyter_is_killed_during_a_run_and_the_page_goes_on(own_lab: Lab, context: BrowserContext) -> None:
    page = context.new_page()
    open_lab(page, own_lab.address)
    close_what_lab_says(page)
    with gateway_of(own_lab) as api:
        job = submit(api, "outlives", steps=200, pace=0.1)
    view = open_job(page, "outlives", "Log")
    goes_on(view)
    record_words(page, BADGE)
    own_lab.stop(signal.SIGKILL)
    expect(view.get_by_text("not connected")).to_be_visible()
    own_lab.start()
    expect(view.get_by_text("not connected")).to_have_count(0)
    expect(badge(view)).to_have_text("succeeded")
    assert set(recorded_words(page)) <= {"running", "finalizing", "succeeded"}
    has_whole_log(view, 200)
    expect(row_of(page, "outlives")).to_contain_text("succeeded")
    with gateway_of(own_lab) as api:
        assert wait_for_end(api, job)["state"] == "succeeded"


def test_the_gateway_is_opened_anew_under_a_page(own_lab: Lab, context: BrowserContext, plain_sshd: SshSite) -> None:
    page = context.new_page()
    open_lab(page, own_lab.address)
    with gateway_of(own_lab) as api:
        submit(api, "stays", steps=160, pace=0.1)
    view = open_job(page, "stays", "Log")
    goes_on(view)
    record_words(page, BADGE)
    machine = {
        "host": f"{plain_sshd.user}@127.0.0.1",
        "port": plain_sshd.ssh_port,
        "key_file": str(plain_sshd.client_key),
        "name": "vm",
    }
    headers = {"Authorization": f"token {own_lab.token}"}
    with httpx.Client(base_url=own_lab.url, headers=headers, timeout=60, trust_env=False) as jupyter:
        key = jupyter.post("/science-gateway/targets/look", json=machine).json()["key"]
        added = jupyter.post("/science-gateway/targets", json={**machine, "accept_fingerprint": key["fingerprint"]})
        assert added.status_code == 201, added.text
    expect(badge(view)).to_have_text("succeeded")
    assert set(recorded_words(page)) <= {"running", "finalizing", "succeeded"}
    has_whole_log(view, 160)


def test_what_is_done_in_one_tab_is_seen_in_the_other(page: Page, context: BrowserContext, api: httpx.Client) -> None:
    other = context.new_page()
    open_lab(other, page.url.replace("/workspaces/auto-", "/workspaces/other-"))
    submit(api, "in two tabs", steps=5000, pace=0.1)
    views = [open_job(tab, "in two tabs") for tab in (page, other)]
    for view in views:
        expect(badge(view)).to_have_text("running")
    views[0].get_by_role("button", name="Cancel…").click()
    answer_dialog(page, "Cancel the job")
    expect(badge(views[1])).to_have_text("cancelled")
    expect(row_of(other, "in two tabs")).to_contain_text("cancelled")


def test_the_network_is_cut_and_the_page_says_so_until_it_is_back(
    lab: Lab, context: BrowserContext, api: httpx.Client
) -> None:
    with Proxy(lab.port) as network:
        page = context.new_page()
        open_lab(page, lab.address.replace(f":{lab.port}", f":{network.port}"))
        close_what_lab_says(page)
        job = submit(api, "unseen end", steps=120, pace=0.1)
        view = open_job(page, "unseen end", "Log")
        goes_on(view)
        record_words(page, BADGE)
        network.set(Weather(refuse=True), cut=True)
        expect(view.get_by_text("(not connected)")).to_be_visible()
        row = row_of(page, "unseen end")
        expect(row).to_contain_text("checked")
        assert wait_for_end(api, job)["state"] == "succeeded"
        # Nobody has told the page: it says what it knew, and how old that is.
        expect(badge(view)).to_have_text("running")
        expect(row).to_contain_text("running")
        expect(page.locator(".sg-sidebar").get_by_text("The gateway cannot be reached")).to_be_visible()
        network.set(FAIR)
        expect(badge(view)).to_have_text("succeeded")
        expect(view.get_by_text("not connected")).to_have_count(0)
        expect(row).to_contain_text("succeeded")
        assert recorded_words(page) == ["running", "succeeded"]
        has_whole_log(view, 120)
        page.close()
