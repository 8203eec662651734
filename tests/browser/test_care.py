"""What a person does with the outputs of a job that has ended, as a whole: prove them, keep them, take them along."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from steps import open_gallery, open_job, open_tab, submit, wait_for_end, wait_until

pytestmark = pytest.mark.real


def test_outputs_are_verified_and_held(page: Page, api: httpx.Client) -> None:
    job = submit(api, "proved", steps=20, pace=0)
    wait_for_end(api, job)
    outputs = open_tab(open_job(page, "proved"), "Outputs")
    outputs.get_by_role("button", name="Verify…").click()
    proof = outputs.get_by_role("region", name="Verification", exact=True)
    expect(proof).to_contain_text("Not verified yet")
    proof.get_by_role("button", name="Verify every byte").click()
    expect(proof).to_contain_text("Verified: everything is as it was signed.")
    expect(proof).to_contain_text(re.compile(r"Signature\s*good"))
    outputs.get_by_role("button", name="Keep or let go…").click()
    keeping = outputs.get_by_role("region", name="Keeping", exact=True)
    expect(keeping).to_contain_text("No rule removes or archives these outputs.")
    keeping.get_by_role("textbox", name="What the outputs are held for").fill("the paper")
    keeping.get_by_role("button", name="Hold the outputs").click()
    expect(keeping).to_contain_text(re.compile("Held by .* since .*: the paper"))
    held = api.get(f"/api/v1/jobs/{job}/retention").json()["holds"]
    assert [hold["why"] for hold in held] == ["the paper"]
    keeping.get_by_role("button", name="Release").click()
    expect(keeping.get_by_role("button", name="Hold the outputs")).to_be_visible()
    assert api.get(f"/api/v1/jobs/{job}/retention").json()["holds"] == []


def test_a_job_is_taken_along_as_a_crate_and_run_from_it(page: Page, api: httpx.Client, tmp_path: Path) -> None:
    wait_for_end(api, submit(api, "taken along", steps=20, pace=0, reynolds=150))
    outputs = open_tab(open_job(page, "taken along"), "Outputs")
    with page.expect_download() as saved:
        outputs.get_by_role("button", name="Download as RO-Crate").click()
    data = Path(saved.value.path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as crate:
        assert json.loads(crate.read("ro-crate-metadata.json"))["@graph"]
    file = tmp_path / "crate.zip"
    file.write_bytes(data)
    page.locator(".lm-TabBar-addButton").filter(visible=True).first.click()
    open_gallery(page)
    page.get_by_role("button", name=re.compile("From an RO-Crate")).click()
    page.get_by_label("Crate").set_input_files(file)
    expect(page.get_by_text("The same version of the case runs")).to_be_visible()
    page.get_by_role("button", name="Run it").click()

    def made() -> bool:
        found = api.get("/api/v1/jobs", params={"q": "taken along"}).json()["items"]
        return any("from-crate" in item["tags"] for item in found)

    wait_until(made)


def test_a_run_is_reproduced_and_what_differs_is_shown(page: Page, api: httpx.Client) -> None:
    wait_for_end(api, submit(api, "reproduced", steps=20, pace=0))
    outputs = open_tab(open_job(page, "reproduced"), "Outputs")
    outputs.get_by_role("button", name="Reproduce").click()
    compared = page.get_by_role("region", name="Outputs", exact=True).filter(has_text="outputs are the same")
    expect(compared).to_be_visible(timeout=60_000)
