"""JupyterLab's panel in a browser.

A Chromium without a window opens JupyterLab with an embedded gateway and 10,000 jobs. Ready is the panel when its list
shows jobs; the baseline is JupyterLab itself, which is ready when its splash screen has gone. Then the list is scrolled
from the newest job to the oldest, ten rows a frame; the baseline is the longest frame of the same loop without
scrolling. The machine draws in software, so frames say more about it than about a graphics card.
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import Page, Response, async_playwright

from benchmarks.deep_pages import fill
from benchmarks.measure import Comparison
from benchmarks.servers import new_database
from testbed.lab import BUNDLE, NAME, Lab
from testbed.processes import require

JOBS, ROUNDS, PAGE = 10_000, 3, 100
WAIT = 60_000
OUTSIDE = "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"
SETTINGS = """
[gateway]
data = "{data}"
[targets.local]
[stores.local]
kind = "directory"
path = "{data}/outputs"
"""
# Kept from the first moment of the page: when the splash screen went, and when the first job stood there.
WATCH = """
window.times = {};
new MutationObserver(() => {
    if (document.querySelector('#jupyterlab-splash')) window.splash = true;
    else if (window.splash) window.times.shell ??= performance.now();
    if (document.querySelector('.sg-sidebar .sg-row-job')) window.times.panel ??= performance.now();
}).observe(document, {subtree: true, childList: true});
"""
SCROLL = """async scrolls => {
    const list = document.querySelector('.sg-sidebar .sg-list');
    const frame = () => new Promise(requestAnimationFrame);
    const frames = [];
    let before = await frame(), still = 0;
    while (scrolls ? still < 300 : frames.length < 300) {
        if (scrolls) {
            const top = list.scrollTop;
            list.scrollTop += 480;
            still = list.scrollTop === top ? still + 1 : 0;
        }
        const now = await frame();
        frames.push(now - before);
        before = now;
    }
    return {frames, rows: Math.round(list.scrollHeight / 48)};
}"""


def _keeps_sidebar(answer: Response) -> bool:
    """Whether JupyterLab has stored that the panel's list is open."""
    sent = answer.request.post_data or ""
    return "/api/workspaces" in answer.url and '"current":"science-gateway-sidebar"' in sent


async def _ready(page: Page, address: str) -> dict[str, float]:
    """Open JupyterLab; return the seconds until it, and until the panel, were there."""
    await page.goto(address)
    await page.wait_for_function("() => window.times.shell && window.times.panel", timeout=WAIT)
    times: dict[str, float] = await page.evaluate("() => window.times")
    return {name: value / 1000 for name, value in times.items()}


async def _loaded(page: Page) -> tuple[int, int]:
    """Return how many files of the panel the page has loaded, and their bytes when packed."""
    names: list[str] = await page.evaluate("() => performance.getEntriesByType('resource').map(entry => entry.name)")
    ours = {name.partition("?")[0].partition(f"/{NAME}/")[2] for name in names if f"/{NAME}/static/" in name}
    return len(ours), sum(len(gzip.compress((BUNDLE / name).read_bytes(), 6)) for name in ours)


def _frames(found: dict[str, Any]) -> list[float]:
    return [milliseconds / 1000 for milliseconds in found["frames"]]


def _longest(found: dict[str, Any]) -> float:
    return max(_frames(found))


async def _scroll(page: Page) -> tuple[float, float, Sequence[str]]:
    """Scroll to the oldest job; return the longest frame, that of standing still, and what else was seen."""
    still = await page.evaluate(SCROLL, False)
    lists: list[str] = []
    page.on("request", lambda request: lists.append(request.url) if "/api/v1/jobs?" in request.url else None)
    scrolled = await page.evaluate(SCROLL, True)
    over = sum(seconds > 0.05 for seconds in _frames(scrolled))
    notes = (
        f"{scrolled['rows']:,} rows in {len(scrolled['frames']):,} frames; {over} of them over 50 ms",
        f"{len(lists)} requests for {scrolled['rows'] // PAGE} pages",
    )
    return _longest(scrolled), _longest(still), notes


async def run() -> list[Comparison]:
    """Measure."""
    chromium = require("chromium", "apt-get install chromium")
    ready: list[dict[str, float]] = []
    frames: list[tuple[float, float, Sequence[str]]] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        database = new_database(data)
        await database.write(lambda connection: fill(connection, JOBS))
        database.close()
        with Lab(Path(folder), settings=SETTINGS.format(data=data)) as lab:
            lab.gateway()
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox", f"--host-resolver-rules={OUTSIDE}"]
                )
                page = await browser.new_page(viewport={"width": 1360, "height": 860})
                await page.add_init_script(WATCH)
                await page.goto(lab.address)
                await page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=WAIT)
                async with page.expect_response(_keeps_sidebar, timeout=WAIT):
                    await page.locator('[data-id="science-gateway-sidebar"]').first.click()
                for _ in range(ROUNDS):
                    ready.append(await _ready(page, lab.address))
                files, size = await _loaded(page)
                for _ in range(ROUNDS):
                    await _ready(page, lab.address)
                    frames.append(await _scroll(page))
                await browser.close()
    after = [f"{1000 * (one['panel'] - one['shell']):,.0f}" for one in ready]
    return [
        Comparison(
            "JupyterLab with the panel's list",
            "JupyterLab alone",
            1,
            "page",
            [one["panel"] for one in ready],
            [one["shell"] for one in ready],
            (
                f"the panel is there {', '.join(after)} ms after JupyterLab (wanted: at most 1,000)",
                f"{files} files of it are loaded by then, {size / 1000:,.0f} kB packed (wanted: at most 300)",
            ),
        ),
        Comparison(
            f"the longest frame while {JOBS:,} jobs are scrolled",
            "standing still",
            1,
            "frame",
            [one[0] for one in frames],
            [one[1] for one in frames],
            frames[-1][2],
        ),
    ]
