"""A shared gateway: each person sees their own jobs, by a token that no browser ever has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from labs import end_jobs, write_settings
from playwright.sync_api import Browser, Page, WebSocket, expect
from running import RunningGateway
from steps import badge, launch, open_case, open_lab, row_of, show_jobs

from testbed.images import TestImage
from testbed.lab import Lab

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, test_image: TestImage) -> Iterator[RunningGateway]:
    """`gateway serve`, as an administrator runs it for everybody."""
    folder = tmp_path_factory.mktemp("shared")
    made = RunningGateway(folder, {}, {"GATEWAY__GATEWAY__LISTEN": "127.0.0.1:0"})
    made.config.write_text(write_settings(folder, test_image))
    made.start()
    yield made
    end_jobs(made.http)
    made.stop()


@dataclass
class Person:
    """Somebody with a JupyterLab of their own."""

    name: str
    token: str
    lab: Lab


@pytest.fixture(scope="module")
def people(shared: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Person]]:
    """Two people who do not know each other."""
    made = []
    for name in ("ada", "emmy"):
        assert shared.http.post("/api/v1/users", json={"name": name, "role": "user"}).status_code == 201
        token = shared.http.post("/api/v1/tokens", json={"person": name, "label": "lab"}).json()["secret"]
        url = str(shared.http.base_url).rstrip("/")
        made.append(Person(name, token, Lab(tmp_path_factory.mktemp(name), options=[f"--ScienceGateway.url={url}"])))
    try:
        for person in made:
            person.lab.start()
        yield made
    finally:
        for person in made:
            person.lab.stop()


def paste(page: Page, token: str) -> None:
    """Give the panel a token."""
    show_jobs(page)
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Connect").click()


def keep_frames(kept: list[str], socket: WebSocket) -> None:
    """Keep what a WebSocket receives."""
    socket.on("framereceived", lambda text: kept.append(str(text)))


def test_a_wrong_token_is_refused_with_a_word_about_it(browser: Browser, people: list[Person]) -> None:
    context = browser.new_context()
    page = context.new_page()
    open_lab(page, people[0].lab.address)
    show_jobs(page)
    expect(page.get_by_text("This gateway needs your token")).to_be_visible()
    paste(page, "gw_wrong")
    expect(page.locator(".sg-sidebar").get_by_role("alert")).to_contain_text("token")
    expect(page.get_by_label("Token", exact=True)).to_be_visible()
    context.close()


def test_two_people_see_their_own_jobs_only(
    browser: Browser, people: list[Person], shared: RunningGateway, tmp_path: Path
) -> None:
    for person in people:
        har = tmp_path / f"{person.name}.har"
        context = browser.new_context(record_har_path=har, record_har_url_filter=re.compile("/science-gateway/"))
        page = context.new_page()
        frames: list[str] = []
        page.on(
            "websocket", lambda socket, kept=frames: socket.on("framereceived", lambda text: kept.append(str(text)))
        )
        open_lab(page, person.lab.address)
        paste(page, person.token)
        expect(page.locator(".sg-person")).to_have_text(person.name)
        expect(page.get_by_text("No jobs yet.")).to_be_visible()
        open_case(page, "Moving lid")
        page.get_by_label("Name", exact=True).fill(f"of {person.name}")
        page.get_by_text("Time", exact=True).click()
        page.get_by_label("Time steps", exact=True).fill("2")
        job = launch(page)
        view = page.locator(".sg-job", has=page.get_by_role("heading", name=f"of {person.name}"))
        expect(badge(view)).to_have_text("succeeded")
        expect(page.locator(".sg-sidebar .sg-row")).to_have_count(1)
        assert shared.job(job["id"])["owner"] == person.name
        said = page.content() + "".join(frames)
        page.reload()
        expect(row_of(page, f"of {person.name}")).to_contain_text("succeeded")
        said += page.content()
        context.close()
        # Every answer with its headers and its content. What the person typed goes one way only.
        entries = json.loads(har.read_text())["log"]["entries"]
        assert any(entry["response"]["content"].get("text") for entry in entries)
        assert [entry["request"]["method"] for entry in entries if person.token in json.dumps(entry)] == ["PUT"]
        assert person.token not in json.dumps([entry["response"] for entry in entries])
        assert person.token not in said
