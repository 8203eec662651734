"""A real browser, a real JupyterLab, and real jobs behind it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import pytest
from labs import FLAGS, SIZE, end_jobs, gateway_of, write_settings
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from steps import open_lab

from testbed.images import TestImage
from testbed.lab import Lab

PATIENCE = 60_000
"""Milliseconds for one step of a person; a busy machine takes some of them."""
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium of Debian's for this file: as long as it is open, a loop counts as running in this thread."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, test_image: TestImage) -> Iterator[Lab]:
    """One JupyterLab with an embedded gateway, for this worker."""
    folder = tmp_path_factory.mktemp("lab")
    with Lab(folder, settings=write_settings(folder, test_image)) as made:
        yield made


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember for the fixtures whether the test failed."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrowserContext]:
    """A person's browser: cookies, storage, window of its own. After a failure its pages are kept as pictures."""
    made = browser.new_context(viewport=SIZE, reduced_motion="reduce")
    made.set_default_timeout(PATIENCE)
    yield made
    if request.node.stash.get(FAILED, False):
        for number, opened in enumerate(made.pages):
            picture = tmp_path / f"page-{number}.png"
            opened.screenshot(path=picture)
            print(f"the page when the test failed: {picture}")
    made.close()


@pytest.fixture
def page(context: BrowserContext, lab: Lab) -> Page:
    """The Lab, opened, with nothing on top of it."""
    opened = context.new_page()
    open_lab(opened, f"{lab.url}/lab/workspaces/auto-{id(opened):x}?token={lab.token}&reset")
    return opened


@pytest.fixture
def api(lab: Lab) -> Iterator[httpx.Client]:
    """The embedded gateway's own API, to see what really happened."""
    with gateway_of(lab) as client:
        yield client
        end_jobs(client)
