"""Jobs side by side."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect
from steps import drawn_colours, keeps_layout, row_of, show_jobs, submit, wait_for_end, wait_for_lab

pytestmark = pytest.mark.real


def test_jobs_are_compared_by_values_series_and_pictures(page: Page, api: httpx.Client) -> None:
    for name, reynolds, status in (("slow lid", 100, 0), ("fast lid", 400, 0), ("third lid", 900, 5)):
        wait_for_end(api, submit(api, name, steps=6, pace=0, reynolds=reynolds, status=status))
    show_jobs(page)
    for name in ("slow lid", "fast lid"):
        row_of(page, name).click(modifiers=["ControlOrMeta"])
    page.get_by_role("toolbar", name="Chosen jobs").get_by_role("button", name="Compare").click()
    table = page.get_by_role("region", name="Table of differences")
    line = table.get_by_role("row", name="reynolds")
    expect(line.get_by_role("cell").nth(0)).to_have_text("400")
    expect(line.get_by_role("cell").nth(1)).to_have_text("100")
    expect(table.get_by_role("row", name=re.compile("^steps"))).to_have_count(0)
    page.get_by_role("region", name="Differences", exact=True).get_by_label("Show what is the same too").check()
    expect(table.get_by_role("row", name=re.compile("^steps"))).to_be_visible()
    series = page.get_by_role("region", name="Data series")
    for name in ("slow lid", "fast lid"):
        expect(series.get_by_text(name).first).to_be_visible()
    assert drawn_colours(series.locator("canvas").first) > 2
    pictures = page.get_by_role("region", name="Images").get_by_role("img")
    expect(pictures).to_have_count(2)
    for index in (0, 1):
        expect(pictures.nth(index)).to_have_js_property("naturalWidth", 80)
    page.get_by_role("button", name="Add job").click()
    page.get_by_label("Look for a job").fill("third")
    page.get_by_role("list", name="Jobs that can be added").get_by_role("button", name="third lid").click()
    expect(table.get_by_role("columnheader", name="third lid")).to_contain_text("failed")
    expect(table.get_by_role("row", name="exit code").get_by_role("cell").nth(2)).to_have_text("5")
    table.get_by_role("button", name="slow lid", exact=True).click()
    expect(page.locator(".sg-job").get_by_role("heading", name="slow lid")).to_be_visible()


def test_a_comparison_is_there_again_after_a_reload(page: Page, api: httpx.Client) -> None:
    for name in ("left lid", "right lid"):
        wait_for_end(api, submit(api, name, steps=1, pace=0))
    show_jobs(page)
    for name in ("left lid", "right lid"):
        row_of(page, name).click(modifiers=["ControlOrMeta"])
    # As a widget, and as a place in the layout.
    with page.expect_response(lambda response: keeps_layout(response, '"widgets":["science-gateway-compare:')):
        page.get_by_role("toolbar", name="Chosen jobs").get_by_role("button", name="Compare").click()
    page.reload()
    wait_for_lab(page)
    for name in ("left lid", "right lid"):
        expect(page.get_by_role("columnheader", name=name)).to_be_visible()
