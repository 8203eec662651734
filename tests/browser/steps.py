"""What a person does in JupyterLab, for the tests to read as stories."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Locator, Page, Response, expect

LAB_READY = 60_000
"""Milliseconds for JupyterLab itself."""


def open_lab(page: Page, address: str) -> None:
    """Open JupyterLab and wait until it has restored what was open."""
    page.goto(address)
    wait_for_lab(page)


def wait_for_lab(page: Page) -> None:
    """Wait until JupyterLab has restored what was open, after which it takes the focus no more."""
    page.wait_for_selector("#jp-main-dock-panel", state="visible", timeout=LAB_READY)
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=LAB_READY)


def keeps_layout(response: Response, text: str) -> bool:
    """Whether JupyterLab has stored what is open, with a text in it."""
    request = response.request
    return request.method == "PUT" and "/api/workspaces" in request.url and text in (request.post_data or "")


def find_command(page: Page, text: str) -> Locator:
    """Find a command in the palette by its words, without a mouse; return its entry, which has the focus.

    JupyterLab closes the palette when anything else takes the focus, as a launcher does that is drawn late: a person
    then opens it again.
    """
    chosen = page.locator(".lm-CommandPalette-item.lm-mod-active", has_text=text)
    for _ in range(5):
        page.keyboard.press("Control+Shift+C")
        try:
            expect(page.locator(".lm-CommandPalette-input")).to_be_focused(timeout=LAB_READY / 10)
            page.keyboard.press("Control+A")
            page.keyboard.type(text)
            expect(chosen).to_be_visible(timeout=LAB_READY / 10)
        except AssertionError:
            page.keyboard.press("Escape")
        else:
            return chosen
    raise AssertionError(f"the palette does not offer {text}")


def command(page: Page, text: str) -> None:
    """Choose a command in the palette by its words."""
    page.locator("#jp-MainLogo").click()
    find_command(page, text)
    page.keyboard.press("Enter")


def open_gallery(page: Page) -> None:
    """Open the gallery from JupyterLab's launcher."""
    page.locator(".jp-LauncherCard", has_text="Simulation").filter(visible=True).first.click()
    page.get_by_role("heading", name="What do you want to run?").wait_for()


def open_case(page: Page, label: str) -> None:
    """Open the form of a case from the gallery."""
    open_gallery(page)
    title = page.locator(".sg-card-title", has_text=re.compile(f"^{re.escape(label)}$"))
    page.get_by_role("button").filter(has=title).click()
    page.get_by_role("heading", name=label).wait_for()
    page.locator(".sg-number").first.wait_for()


def launch(page: Page) -> dict[str, Any]:
    """Press the form's button; return what the gateway answered."""
    with page.expect_response(_answers_a_launch) as seen:
        page.locator(".sg-launch-button").click()
    answer: dict[str, Any] = seen.value.json()
    return answer


def _answers_a_launch(response: Response) -> bool:
    ends = ("/api/v1/jobs", "/api/v1/sweeps", "/rerun")
    return response.request.method == "POST" and response.url.partition("?")[0].endswith(ends)


def submit(api: httpx.Client, name: str, more: dict[str, object] | None = None, **values: object) -> str:
    """Launch the case `lid` without the panel, with more in the request where wanted; return the job's id."""
    asked = {"case": "lid", "name": name, "values": values, **(more or {})}
    answer = api.post("/api/v1/jobs", json=asked)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def show_jobs(page: Page) -> None:
    """Open the sidebar, where it is not open."""
    sidebar = page.locator(".sg-sidebar")
    if not sidebar.is_visible():
        page.locator('[data-id="science-gateway-sidebar"]').first.click()
    sidebar.wait_for()


def row_of(page: Page, name: str) -> Locator:
    """Return the row of a job or a sweep in the sidebar."""
    title = page.locator(".sg-item-name", has_text=re.compile(f"^{re.escape(name)}$"))
    return page.locator(".sg-sidebar .sg-row", has=title).first


def open_job(page: Page, name: str, tab: str | None = None) -> Locator:
    """Open a job from the sidebar; return its view."""
    show_jobs(page)
    row_of(page, name).click()
    view = page.locator(".sg-job", has=page.get_by_role("heading", name=name)).filter(visible=True)
    view.wait_for()
    if tab is not None:
        open_tab(view, tab)
    return view


def open_tab(view: Locator, name: str) -> Locator:
    """Open a tab of a job's view; return what is in it."""
    view.get_by_role("tab", name=name, exact=True).click()
    panel = view.get_by_role("tabpanel", name=name, exact=True)
    panel.wait_for()
    return panel


def badge(view: Locator) -> Locator:
    """Return the word for a job's state at the head of its view."""
    return view.locator(".sg-job-title .sg-state")


def record_words(page: Page, selector: str, to: str = "words") -> None:
    """Keep from now on every text that stands at a place of the page, in the order in which a person reads it."""
    page.evaluate(
        """([selector, to]) => {
            const seen = (window[to] = []);
            const look = () => {
                const text = document.querySelector(selector)?.textContent ?? null;
                if (text !== null && text !== seen.at(-1)) seen.push(text);
            };
            look();
            new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true});
        }""",
        [selector, to],
    )


def recorded_words(page: Page, of: str = "words") -> list[str]:
    """Return what `record_words` has kept."""
    found: list[str] = page.evaluate("of => window[of]", of)
    return found


def record_log(page: Page) -> None:
    """Keep from now on every line of the open log that was on the screen, by its number."""
    page.evaluate(
        """() => {
            const lines = (window.lines = {});
            const look = () => {
                for (const row of document.querySelectorAll('.sg-log-row')) lines[row.dataset.index] = row.textContent;
            };
            look();
            new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true});
        }"""
    )


def recorded_log(page: Page) -> list[str]:
    """Return the lines that `record_log` has kept; a gap is a failure."""
    found: dict[str, str] = page.evaluate("() => window.lines")
    assert sorted(map(int, found)) == list(range(len(found))), sorted(map(int, found))
    return [found[str(number)] for number in range(len(found))]


def answer_dialog(page: Page, button: str) -> None:
    """Press a button of JupyterLab's dialog."""
    page.locator(".jp-Dialog").get_by_role("button", name=button).click()
    expect(page.locator(".jp-Dialog")).to_have_count(0)


def wait_for_end(api: httpx.Client, job_id: str, seconds: float = 60) -> dict[str, Any]:
    """Wait until a job has ended, by the gateway's own stream of its events."""
    until = time.monotonic() + seconds
    with api.stream("GET", f"/api/v1/jobs/{job_id}/events", timeout=seconds) as events:
        for line in events.iter_lines():
            assert time.monotonic() < until, f"job {job_id} has not ended"
            if line.startswith("data: "):
                event = json.loads(line[6:])
                if event["data"].get("to") in ("succeeded", "failed", "cancelled", "lost"):
                    break
    found: dict[str, Any] = api.get(f"/api/v1/jobs/{job_id}").json()
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Ask the gateway again and again, where no event tells."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.1)


def drawn_colours(place: Locator) -> int:
    """Return how many colours a picture of a part of the page has; wait until there is more than its background."""
    place.scroll_into_view_if_needed()
    colours = 0
    until = time.monotonic() + 30
    while colours < 3 and time.monotonic() < until:
        picture = Image.open(io.BytesIO(place.screenshot())).convert("RGB")
        colours = len(picture.getcolors(picture.width * picture.height) or ())
    return colours
