"""The tests of this folder that hold a database to its promises, against PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.db.database import Database
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
    "test_each_change_of_state_is_one_event_with_its_evidence",
    "test_every_filter_keeps_what_it_names_and_nothing_else",
    "test_sequences_of_writers_in_parallel_have_no_gap_and_no_repeat",
    "test_the_migrations_make_the_tables_that_the_code_knows",
]


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    found = Database(postgres_url)
    found.migrate()
    yield found
    found.close()
