"""What leans most on the database, against PostgreSQL: the same tests and the same code, another database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.db.people import AuditFilter, audit_page
from gateway.jobs.bell import Bell
from gateway.model.states import State
from tests.api.conftest import Site, open_site, settings_for
from tests.api.test_events_and_logs import test_streams_that_break_and_resume_have_no_gap_and_no_repeat
from tests.api.test_job_changes import test_patches_at_once_are_all_kept
from tests.api.test_job_lists import (
    test_a_cursor_goes_on_where_its_page_ended_and_is_good_for_its_order_only,
    test_every_filter_of_the_query_reaches_the_list,
)
from tests.api.test_output_search import test_outputs_are_found_across_jobs_the_newest_first
from tests.api.test_outputs import test_a_level_of_outputs_has_exactly_the_contracts_shape
from tests.api.test_reconciling import (
    test_a_folder_that_somebody_copied_to_another_store_becomes_one_of_the_jobs,
    test_rows_and_totals_that_were_lost_come_back_as_they_were_signed,
    test_rows_follow_what_is_in_the_store,
)
from tests.api.test_sweeps import test_a_grid_makes_a_job_of_every_combination, test_the_table_has_values_and_results
from tests.api.test_verification import test_each_kind_of_damage_is_named

__all__ = [
    "test_a_cursor_goes_on_where_its_page_ended_and_is_good_for_its_order_only",
    "test_a_folder_that_somebody_copied_to_another_store_becomes_one_of_the_jobs",
    "test_a_grid_makes_a_job_of_every_combination",
    "test_a_level_of_outputs_has_exactly_the_contracts_shape",
    "test_each_kind_of_damage_is_named",
    "test_every_filter_of_the_query_reaches_the_list",
    "test_outputs_are_found_across_jobs_the_newest_first",
    "test_patches_at_once_are_all_kept",
    "test_rows_and_totals_that_were_lost_come_back_as_they_were_signed",
    "test_rows_follow_what_is_in_the_store",
    "test_streams_that_break_and_resume_have_no_gap_and_no_repeat",
    "test_the_table_has_values_and_results",
]


@pytest.fixture
async def site(tmp_path: Path, postgres_url: str) -> AsyncIterator[Site]:
    async with open_site(settings_for(tmp_path / "data", gateway={"database": postgres_url})) as opened:
        yield opened


async def test_two_gateways_of_one_database_see_each_others_people_and_jobs(site: Site, tmp_path: Path) -> None:
    url = site.gateway.settings.gateway.database
    async with open_site(settings_for(tmp_path / "other", gateway={"database": url})) as other:
        token = await site.join("alice")
        headers = {"Authorization": f"Bearer {token}"}
        assert (await other.http.get("/api/v1/me", headers=headers)).json()["name"] == "alice"
        job = await site.submit()
        await site.move(job["id"], State.STAGING)
        assert (await other.http.get(f"/api/v1/jobs/{job['id']}")).json()["state"] == "staging"
        rows = await other.gateway.database.read(lambda c: list(audit_page(c, AuditFilter(), limit=10)))
        assert [row["action"] for row in rows] == ["submit_job"]
        assert isinstance(other.gateway.bell, Bell)
