"""The tests of this folder that hold a database to its promises, against PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.db.database import Database
from tests.db.test_image_publications import (
    test_an_image_is_worked_at_by_one_process_and_taken_over_when_that_is_silent,
    test_pages_of_publications_go_on_where_the_one_before_ended,
    test_the_schedule_is_kept_once_for_all_processes,
    test_what_failed_waits_for_its_time_or_for_somebody_to_ask,
)
from tests.db.test_job_lists import test_every_filter_keeps_what_it_names_and_nothing_else
from tests.db.test_jobs import (
    test_a_filter_by_tag_matches_the_whole_value,
    test_an_illegal_change_writes_nothing,
    test_each_change_of_state_is_one_event_with_its_evidence,
    test_sequences_of_writers_in_parallel_have_no_gap_and_no_repeat,
    test_the_migrations_make_the_tables_that_the_code_knows,
)

__all__ = [
    "test_a_filter_by_tag_matches_the_whole_value",
    "test_an_illegal_change_writes_nothing",
    "test_an_image_is_worked_at_by_one_process_and_taken_over_when_that_is_silent",
    "test_each_change_of_state_is_one_event_with_its_evidence",
    "test_every_filter_keeps_what_it_names_and_nothing_else",
    "test_pages_of_publications_go_on_where_the_one_before_ended",
    "test_sequences_of_writers_in_parallel_have_no_gap_and_no_repeat",
    "test_the_migrations_make_the_tables_that_the_code_knows",
    "test_the_schedule_is_kept_once_for_all_processes",
    "test_what_failed_waits_for_its_time_or_for_somebody_to_ask",
]


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    found = Database(postgres_url)
    found.migrate()
    yield found
    found.close()
