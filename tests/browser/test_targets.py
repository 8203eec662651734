"""Adding a machine from the panel, with its key shown and what was found on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from steps import command, open_lab

from testbed.lab import Lab
from testbed.sshd import SshSite

pytestmark = pytest.mark.real


@pytest.fixture
def fresh_lab(tmp_path: Path) -> Iterator[Lab]:
    """A JupyterLab of somebody who has configured nothing."""
    with Lab(tmp_path) as made:
        made.gateway()
        yield made


def test_a_machine_becomes_a_target_after_its_key_was_accepted(
    fresh_lab: Lab, context: BrowserContext, plain_sshd: SshSite
) -> None:
    page: Page = context.new_page()
    open_lab(page, fresh_lab.address)
    command(page, "Add a Target")
    page.get_by_label("Machine").fill(f"{plain_sshd.user}@127.0.0.1")
    page.get_by_label("Port").fill(str(plain_sshd.ssh_port))
    page.get_by_label("Private key (a file of the Jupyter server)").fill(str(plain_sshd.client_key))
    page.get_by_role("button", name="Look at the machine").click()
    expect(page.locator(".sg-fingerprint")).to_contain_text("SHA256:")
    page.get_by_role("button", name="It is the right key").click()
    expect(page.locator(".sg-probes")).to_be_visible(timeout=60_000)
    page.get_by_label("Name of the target").fill("machine")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_text("machine is a target now.")).to_be_visible(timeout=60_000)
    written = next(fresh_lab.folder.rglob("gateway.toml")).read_text()
    assert "[targets.machine" in written
    assert str(plain_sshd.ssh_port) in written
    page.get_by_role("button", name="Launch something on it").click()
    page.get_by_role("button", name="My own container").click()
    expect(page.get_by_role("combobox", name="Target")).to_contain_text("machine")
