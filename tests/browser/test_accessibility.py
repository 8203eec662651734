"""axe-core finds nothing serious in any part of the panel, and a job is launched and watched without a mouse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from steps import (
    badge,
    command,
    find_command,
    open_gallery,
    open_job,
    open_tab,
    row_of,
    show_jobs,
    submit,
    wait_for_end,
)

pytestmark = pytest.mark.real

AXE = Path(__file__).resolve().parents[2] / "jupyter_extension/ui/node_modules/axe-core/axe.min.js"
OURS = ".sg-panel, .sg-job-widget"


def violations(page: Page) -> list[str]:
    """Return what axe-core says against what can be seen of the panel, serious or critical."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate(
        """async selector => {
            const shown = [...document.querySelectorAll(selector)].filter(node => node.checkVisibility());
            if (shown.length === 0) throw new Error('nothing of the panel can be seen');
            return axe.run({include: shown}, {resultTypes: ['violations']});
        }""",
        OURS,
    )
    return [
        f"{item['id']} ({item['impact']}): {item['help']}: {node['html'][:200]} {node['any'][:1]}"
        for item in found["violations"]
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_no_part_of_the_panel_is_hard_to_use(page: Page, api: httpx.Client, theme: str) -> None:
    for name, status in (("heard first", 0), ("heard second", 7)):
        wait_for_end(api, submit(api, name, {"tags": {"study": "ears"}}, steps=3, pace=0, status=status))
    command(page, f"Use Theme: {theme}") if theme.endswith("Dark") else None
    command(page, f"Use Theme: {theme}")
    dark = "false" if theme.endswith("Dark") else "true"
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", dark)
    said = {}
    show_jobs(page)
    page.get_by_role("button", name="More filters").click()
    for name in ("heard second", "heard first"):
        row_of(page, name).click(modifiers=["ControlOrMeta"])
    said["sidebar"] = violations(page)
    page.get_by_role("toolbar", name="Chosen jobs").get_by_role("button", name="Compare").click()
    expect(page.get_by_role("region", name="Images").get_by_role("img")).to_have_count(2)
    page.get_by_role("button", name="Add job").click()
    said["compare"] = violations(page)
    for job in ("heard second", "heard first"):
        view = open_job(page, job)
        for tab in ("Overview", "Log", "Plots", "Events", "Script", "Outputs"):
            open_tab(view, tab)
            said[f"{job}, {tab}"] = violations(page)
    outputs = view.get_by_role("tabpanel", name="Outputs")
    for file in ("log.lid", "residuals.csv", "report.json"):
        outputs.get_by_role("treeitem", name=file).click()
        expect(outputs.get_by_role("region", name="Preview").get_by_role("heading", name=file)).to_be_visible()
        expect(outputs.get_by_text("Loading…")).to_have_count(0)
        said[file] = violations(page)
    outputs.get_by_role("treeitem", name="VTK").dblclick()
    outputs.get_by_role("treeitem", name="lid_0.vtk").click()
    expect(outputs.locator(".sg-vtk-canvas canvas")).to_be_visible()
    said["lid_0.vtk"] = violations(page)
    page.keyboard.press("Control+Shift+L")
    open_gallery(page)
    said["gallery"] = violations(page)
    page.get_by_role("button", name="Moving lid").click()
    page.get_by_text("Time", exact=True).click()
    page.get_by_text("Sweep over parameters").click()
    page.get_by_label("Vary a parameter").select_option("reynolds")
    page.get_by_text("Where it runs, and where its outputs go").click()
    said["form"] = violations(page)
    command(page, "Add a Target")
    expect(page.get_by_label("Machine")).to_be_visible()
    said["target"] = violations(page)
    assert {place: found for place, found in said.items() if found} == {}


def tab_to(page: Page, name: str, steps: int = 40) -> None:
    """Press Tab until the focus is on something of that name."""
    for _ in range(steps):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => {
                const {activeElement: node} = document;
                return node.ariaLabel ?? node.labels?.[0]?.innerText ?? node.innerText ?? '';
            }"""
        )
        if re.search(name, focused):
            return
    raise AssertionError(f"the keyboard does not get to {name}")


def test_a_job_is_launched_and_its_log_read_without_a_mouse(page: Page, api: httpx.Client) -> None:
    find_command(page, "Launch a Simulation")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What do you want to run?").wait_for()
    tab_to(page, "Search the cases")
    page.keyboard.type("lid")
    tab_to(page, "Moving lid")
    page.keyboard.press("Enter")
    page.locator(".sg-number").first.wait_for()
    tab_to(page, "Reynolds number")
    page.keyboard.press("Control+A")
    page.keyboard.type("321")
    tab_to(page, "^Time$")
    page.keyboard.press("Enter")
    tab_to(page, "^Time steps$")
    page.keyboard.press("Control+A")
    page.keyboard.type("4")
    tab_to(page, "^Launch$")
    page.keyboard.press("Enter")
    view = page.locator(".sg-job", has=page.get_by_role("heading", name="Moving lid"))
    expect(badge(view)).to_have_text("succeeded")
    tab_to(page, "^Overview$")
    page.keyboard.press("ArrowRight")
    log = view.get_by_role("log")
    expect(log).to_contain_text("step 4 of 4")
    expect(log).to_contain_text("Reynolds number 321")
    tab_to(page, "^Jobs, newest first$", 80)
    page.keyboard.press("Home")
    expect(page.locator(".sg-row-active")).to_contain_text("Moving lid")
