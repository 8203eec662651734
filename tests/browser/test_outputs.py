"""What a job wrote: a tree that grows, previews, downloads, cells that read a file."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from steps import drawn_colours, open_job, open_tab, submit, wait_for_end, wait_until

pytestmark = pytest.mark.real


def choose(outputs: Locator, name: str) -> Locator:
    """Click on a file of the tree; return its preview."""
    outputs.get_by_role("treeitem", name=name).click()
    preview = outputs.get_by_role("region", name="Preview", exact=True)
    expect(preview.get_by_role("heading", name=name)).to_be_visible()
    return preview


def wait_for_step(api: httpx.Client, job: str, step: int) -> None:
    """Wait until a job has come so far, as it says itself."""
    wait_until(lambda: (api.get(f"/api/v1/jobs/{job}").json()["progress"] or {"value": -1})["value"] >= step)


def unfold(outputs: Locator, name: str) -> None:
    """Open a folder of the tree."""
    outputs.get_by_role("treeitem", name=name).dblclick()


def test_the_tree_grows_while_the_job_runs(page: Page, api: httpx.Client) -> None:
    job = submit(api, "growing", {"sync": {"interval": 2, "settle": 0}}, steps=5000, pace=0.05)
    view = open_job(page, "growing")
    wait_for_step(api, job, 12)
    outputs = open_tab(view, "Outputs")
    outputs.get_by_role("button", name="Sync now").click()
    expect(outputs.get_by_role("treeitem", name="residuals.csv")).to_contain_text("partial")
    expect(outputs.get_by_role("group", name="Completeness")).to_contain_text("results: partial so far")
    unfold(outputs, "VTK")
    expect(outputs.get_by_role("treeitem", name="lid_10.vtk")).to_be_visible()
    text = choose(outputs, "log.lid").get_by_role("region", name="log.lid")
    expect(text).to_contain_text(re.compile(r"Time = \d+$"))
    end = text.inner_text().splitlines()[-1]
    fields = outputs.get_by_role("treeitem", name=re.compile(r"lid_\d+\.vtk"))
    there = fields.count()
    wait_for_step(api, job, 10 * there + 2)
    outputs.get_by_role("button", name="Sync now").click()
    expect(outputs.get_by_role("treeitem", name=f"lid_{10 * there}.vtk")).to_be_visible()
    expect(text).not_to_contain_text(re.compile(f"{end}$"))
    api.post(f"/api/v1/jobs/{job}/cancel")
    expect(outputs.get_by_role("group", name="Completeness")).to_contain_text("results: complete")
    expect(outputs.get_by_role("treeitem", name="log.lid")).to_contain_text("final")


def test_files_are_shown_as_what_they_are(page: Page, api: httpx.Client) -> None:
    wait_for_end(api, submit(api, "shown", steps=25, pace=0, reynolds=150))
    outputs = open_tab(open_job(page, "shown"), "Outputs")
    expect(choose(outputs, "log.lid").get_by_role("region", name="log.lid")).to_contain_text("Time = 25")
    table = choose(outputs, "residuals.csv")
    expect(table.get_by_role("columnheader", name="Ux")).to_be_visible()
    expect(table.get_by_text("25 rows")).to_be_visible()
    table.get_by_role("button", name="Plot", exact=True).click()
    expect(table.locator("canvas").first).to_be_visible()
    assert drawn_colours(table.locator("canvas").first) > 1
    document = choose(outputs, "report.json")
    expect(document.get_by_text("150", exact=True)).to_be_visible()
    document.get_by_role("button", name=re.compile("centre")).click()
    unfold(outputs, "pictures")
    picture = choose(outputs, "vortex.svg").get_by_role("img", name="pictures/vortex.svg")
    expect(picture).to_have_js_property("naturalWidth", 80)
    assert picture.evaluate("node => node.tagName") == "IMG"


def test_a_field_is_drawn_and_followed_through_its_time_steps(page: Page, api: httpx.Client) -> None:
    wait_for_end(api, submit(api, "drawn", steps=20, pace=0))
    outputs = open_tab(open_job(page, "drawn"), "Outputs")
    unfold(outputs, "VTK")
    preview = choose(outputs, "lid_0.vtk")
    drawing = preview.get_by_role("img", name=re.compile("lid_0.vtk, drawn"))
    expect(drawing.locator("canvas")).to_be_visible()
    assert drawn_colours(drawing) > 20
    expect(preview.get_by_text("step 0 (1 of 3)")).to_be_visible()
    preview.get_by_role("button", name="Next step").click()
    expect(preview.get_by_text("step 10 (2 of 3)")).to_be_visible()
    assert drawn_colours(preview.get_by_role("img", name=re.compile("lid_10.vtk, drawn"))) > 20


def test_outputs_are_taken_home_and_into_a_notebook(page: Page, api: httpx.Client) -> None:
    job = submit(api, "taken", steps=11, pace=0)
    wait_for_end(api, job)
    view = open_job(page, "taken")
    outputs = open_tab(view, "Outputs")
    preview = choose(outputs, "report.json")
    with page.expect_download() as one:
        preview.get_by_role("button", name="Download report.json").click()
    assert '"steps": 11' in one.value.path().read_text()
    with page.expect_download() as everything:
        outputs.get_by_role("button", name="Download all").click()
    wanted = {"VTK/lid_0.vtk", "VTK/lid_10.vtk", "log.lid", "pictures/vortex.svg", "report.json", "residuals.csv"}
    assert wanted <= names_in(everything.value.path())
    outputs.get_by_label("Filter by a pattern").fill("*.vtk")
    expect(outputs.get_by_text("2 of 6 files match")).to_be_visible()
    outputs.get_by_label("Filter by a pattern").fill("")
    choose(outputs, "residuals.csv").get_by_role("button", name="Open residuals.csv in a notebook").click()
    cell = page.locator(".jp-Notebook .jp-CodeCell").first
    expect(cell).to_contain_text(job)
    expect(cell).to_contain_text('["residuals.csv"].open()')


def names_in(archive: Path) -> set[str]:
    """Return the names of the files in an archive, below its own folder."""
    content = archive.read_bytes()
    if zipfile.is_zipfile(io.BytesIO(content)):
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    else:
        with tarfile.open(fileobj=io.BytesIO(content)) as opened:
            names = opened.getnames()
    return set(names) | {name.partition("/")[2] for name in names}
