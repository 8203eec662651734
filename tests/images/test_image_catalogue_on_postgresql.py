"""The tests of the catalogue that hold a database to its promises, against PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from test_image_catalogue import (
    test_a_clean_up_names_and_removes_only_what_is_retired_unpinned_and_unused,
    test_a_list_is_in_the_order_of_names_searched_and_paged,
    test_a_list_is_taken_over_again_and_again_without_harm_and_a_newer_build_takes_the_name,
    test_names_mirrors_and_pins_change_and_what_is_known_of_a_mirror_stays,
    test_the_same_file_under_another_name_becomes_one_image_with_both_names_and_all_mirrors,
)

from gateway.db.database import Database
from gateway.images.catalogue import ImageCatalogue
from gateway.urls import UrlOpener

__all__ = [
    "test_a_clean_up_names_and_removes_only_what_is_retired_unpinned_and_unused",
    "test_a_list_is_in_the_order_of_names_searched_and_paged",
    "test_a_list_is_taken_over_again_and_again_without_harm_and_a_newer_build_takes_the_name",
    "test_names_mirrors_and_pins_change_and_what_is_known_of_a_mirror_stays",
    "test_the_same_file_under_another_name_becomes_one_image_with_both_names_and_all_mirrors",
]


@pytest.fixture
async def catalogue(postgres_url: str) -> AsyncIterator[ImageCatalogue]:
    database = Database(postgres_url)
    database.migrate()
    urls = UrlOpener(["127.0.0.1"])
    found = ImageCatalogue(database, urls)
    yield found
    await found.close()
    urls.close()
    database.close()
