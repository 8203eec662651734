"""Pictures of the panel, light and dark. `make screenshots` takes them of the cavity case, for README and docs."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from steps import (
    badge,
    command,
    drawn_colours,
    open_case,
    open_gallery,
    open_job,
    open_tab,
    row_of,
    show_jobs,
    wait_for_end,
    wait_until,
)

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200 if "SCREENSHOTS" in os.environ else 300)]

LARGEST = 200_000
"""Bytes of a picture: they are kept in the repository."""


@dataclass(frozen=True)
class Shown:
    """What the pictures are of.

    Attributes
    ----------
    quick, slow
        Values of runs that end soon, and of one that is watched.
    field, array
        A file in the folder `VTK`, and what it is coloured by.
    """

    case: str
    label: str
    quick: dict[str, object]
    slow: dict[str, object]
    field: str
    array: str


LID = Shown("lid", "Moving lid", {"steps": 40, "pace": 0}, {"steps": 300, "pace": 0.1}, "lid_40.vtk", "speed")
CAVITY = Shown(
    "cavity", "Lid-driven cavity", {}, {"cells": 32, "delta_t": 0.0025, "pace": 3}, "cavity_100.vtk", "U |…|"
)


@pytest.fixture
def shown(api: httpx.Client) -> Shown:
    """The small case in the tests; the real one, with its image built, for `make screenshots`."""
    if "SCREENSHOTS" not in os.environ:
        return LID
    api.post("/api/v1/cases/cavity/build", timeout=900).raise_for_status()
    wait_until(lambda: api.get("/api/v1/cases/cavity").json()["image"]["state"] == "built", 900)
    return CAVITY


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the pictures go; each is small enough."""
    made = Path(os.environ.get("SCREENSHOTS") or tmp_path / "pictures")
    made.mkdir(parents=True, exist_ok=True)
    yield made
    assert [file.name for file in made.glob("*.png") if file.stat().st_size > LARGEST] == []


def keep(place: Page | Locator, path: Path) -> None:
    """Take a picture with 256 colours: a quarter of the bytes, and nobody sees the difference."""
    picture = Image.open(io.BytesIO(place.screenshot(animations="disabled", caret="hide"))).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def launch_some(api: httpx.Client, shown: Shown) -> None:
    """Fill the list: runs that succeeded, one that failed, a sweep, one that goes on."""
    for reynolds in (100, 400):
        asked = {"case": shown.case, "name": f"Re {reynolds}", "values": {**shown.quick, "reynolds": reynolds}}
        wait_for_end(api, api.post("/api/v1/jobs", json=asked).json()["id"], 300)
    asked = {"name": "check the mesh", "script": "echo 'cell 17 is turned inside out' >&2; exit 2", "image": None}
    wait_for_end(api, api.post("/api/v1/jobs", json=asked).json()["id"])
    job = {"case": shown.case, "name": "Reynolds scan", "values": shown.quick}
    sweep = {"job": job, "grid": {"reynolds": [50, 100, 200, 400]}, "name": "Reynolds scan"}
    made = api.post("/api/v1/sweeps", json=sweep).json()["id"]
    wait_until(lambda: api.get(f"/api/v1/sweeps/{made}").json()["state"] not in ("accepted", "running"), 300)


def test_pictures_of_every_part_are_taken_in_light_and_dark(
    page: Page, api: httpx.Client, shown: Shown, folder: Path
) -> None:
    launch_some(api, shown)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.add_style_tag(content=".Toastify { display: none }")
    for theme in ("Dark", "Light"):
        command(page, f"Use Theme: JupyterLab {theme}")
        expect(page.locator("body")).to_have_attribute("data-jp-theme-light", str(theme == "Light").lower())
        take_pictures(page, api, shown, folder, theme.lower())
    names = ("compare", "gallery", "job", "launch", "outputs", "plots", "sidebar")
    taken = {file.name for file in folder.glob("*.png")}
    assert {f"{name}-{theme}.png" for name in names for theme in ("light", "dark")} <= taken


def take_pictures(page: Page, api: httpx.Client, shown: Shown, folder: Path, theme: str) -> None:
    """Go through the panel and take a picture of each part."""
    asked = {"case": shown.case, "name": "Re 800", "values": {**shown.slow, "reynolds": 800}}
    watched = api.post("/api/v1/jobs", json=asked).json()["id"]
    show_jobs(page)
    view = open_job(page, "Re 800")
    expect(badge(view)).to_have_text("running")
    wait_until(lambda: (api.get(f"/api/v1/jobs/{watched}").json()["progress"] or {"value": 0})["value"] > 0, 120)
    plots = open_tab(view, "Plots")
    expect(plots.locator("canvas").first).to_be_visible()
    plots.get_by_label("Logarithmic").check()
    drawn_colours(plots.locator("canvas").first)
    keep(page, folder / f"plots-{theme}.png")
    open_tab(view, "Overview")
    keep(page, folder / f"job-{theme}.png")
    keep(page.locator("#jp-left-stack"), folder / f"sidebar-{theme}.png")

    outputs = open_tab(open_job(page, "Re 400"), "Outputs")
    if theme == "dark":  # the panel remembers what was open
        outputs.get_by_role("treeitem", name="VTK").dblclick()
    outputs.get_by_role("treeitem", name=shown.field).click()
    outputs.get_by_role("combobox", name="Colour by").select_option(label=shown.array)
    drawn_colours(outputs.locator(".sg-vtk-canvas"))
    keep(page, folder / f"outputs-{theme}.png")

    for name in ("Re 100", "Re 400"):
        row_of(page, name).click(modifiers=["ControlOrMeta"])
    page.get_by_role("toolbar", name="Chosen jobs").get_by_role("button", name="Compare").click()
    series = page.get_by_role("region", name="Data series").filter(visible=True)
    series.get_by_label("Logarithmic").check()
    drawn_colours(series.locator("canvas").first)
    page.get_by_role("button", name="Choose nothing").click()
    keep(page, folder / f"compare-{theme}.png")

    page.keyboard.press("Control+Shift+L")
    open_gallery(page)
    pictures = page.locator("img.sg-card-picture")
    expect(pictures.first).to_be_visible()
    for picture in pictures.all():
        expect(picture).not_to_have_js_property("naturalWidth", 0)
    keep(page, folder / f"gallery-{theme}.png")
    page.keyboard.press("Control+Shift+L")
    open_case(page, shown.label)
    page.get_by_text("Sweep over parameters").click()
    page.get_by_label("Vary a parameter").select_option("reynolds")
    page.locator(".sg-sweep-axis input").fill("100:500:100")
    expect(page.locator(".sg-launch-button")).to_have_text("Launch 5 jobs")
    page.get_by_role("heading", name=shown.label).scroll_into_view_if_needed()
    keep(page, folder / f"launch-{theme}.png")
    api.post(f"/api/v1/jobs/{watched}/cancel")
    wait_for_end(api, watched)
    close_all(page)
    assert api.delete(f"/api/v1/jobs/{watched}").is_success
    expect(row_of(page, "Re 800")).to_have_count(0)


def close_all(page: Page) -> None:
    """Close everything in the main area."""
    command(page, "Close All Tabs")
    expect(page.locator("#jp-main-dock-panel .sg-panel, .sg-job")).to_have_count(0)
