"""The catalogue: what is published now, and every version that was."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cases.catalogue import Catalogue, case_folders
from gateway.cases.folder import version_of
from gateway.db import cases as table
from gateway.db.database import Database
from gateway.errors import NotFound
from tests.cases.written import write_tank


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/gateway.db")
    made.migrate()
    yield made
    made.close()


def test_the_shipped_cases_and_those_of_configured_folders_are_published(tmp_path: Path) -> None:
    write_tank(tmp_path / "one")
    names = [case.name for case in Catalogue([tmp_path / "one", tmp_path / "nosuch"]).all()]
    assert "cavity" in names
    assert "tank" in names
    assert names == sorted(names)


def test_the_first_configured_folder_wins_and_hides_a_shipped_case(tmp_path: Path) -> None:
    write_tank(tmp_path / "one", label="First")
    write_tank(tmp_path / "two", label="Second")
    write_tank(tmp_path / "two", name="cavity", label="Mine")
    catalogue = Catalogue([tmp_path / "one", tmp_path / "two"])
    assert catalogue.find("tank").definition.label == "First"
    assert catalogue.find("cavity").definition.label == "Mine"


def test_a_changed_folder_is_a_new_version_and_the_old_one_stays(tmp_path: Path, database: Database) -> None:
    catalogue = Catalogue([tmp_path / "cases"], database)
    folder = write_tank(tmp_path / "cases")
    before = catalogue.find("tank")
    assert catalogue.find("tank") is before
    write_tank(tmp_path / "cases", label="Changed")
    after = catalogue.find("tank")
    assert after.version != before.version
    assert after.definition.label == "Changed"
    shutil.rmtree(folder)
    with pytest.raises(NotFound):
        catalogue.find("tank")
    # Another process, later, knows both still.
    later = Catalogue([], database)
    for version in (before, after):
        found = later.find("tank", version.version)
        assert found.files == version.files
        assert found.definition == version.definition
        assert later.find("tank", version.version) is found


def test_a_version_belongs_to_its_case_alone(tmp_path: Path, database: Database) -> None:
    write_tank(tmp_path)
    catalogue = Catalogue([tmp_path], database)
    version = catalogue.find("tank").version
    for name, wanted in (("cavity", version), ("nosuch", version), ("tank", "sha256:" + "0" * 64)):
        with pytest.raises(NotFound, match="has no version"):
            catalogue.find(name, wanted)


def test_a_folder_that_becomes_wrong_keeps_its_last_good_version(tmp_path: Path) -> None:
    folder = write_tank(tmp_path)
    catalogue = Catalogue([tmp_path])
    good = catalogue.find("tank")
    (folder / "case.yaml").write_text("name: tank\n")
    assert catalogue.find("tank") is good
    assert [problem.message for problem in catalogue.problems()] == ["the case tank has mistakes"]
    write_tank(tmp_path)
    assert catalogue.find("tank").version == good.version
    assert catalogue.problems() == []


def test_a_case_that_was_never_good_is_not_published(tmp_path: Path) -> None:
    write_tank(tmp_path, command=[])
    catalogue = Catalogue([tmp_path])
    assert "tank" not in [case.name for case in catalogue.all()]
    with pytest.raises(NotFound):
        catalogue.find("tank")


def test_a_damaged_version_is_not_used(tmp_path: Path, database: Database) -> None:
    digest = "sha256:" + "5" * 64
    database.write_here(lambda c: table.keep_version(c, digest, "tank", b"no tar"))
    with pytest.raises(NotFound, match="none that this release can use"):
        Catalogue([], database).find("tank", digest)


def test_the_recipe_of_a_version_lies_among_its_own_files(tmp_path: Path, database: Database) -> None:
    catalogue = Catalogue([], database, tmp_path / "kept")
    case = catalogue.find("cavity")
    recipe = catalogue.recipe(case)
    assert recipe is not None
    assert recipe.read_bytes() == case.files["image/recipe.yaml"].content
    assert catalogue.recipe(case) == recipe
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [case.version.removeprefix("sha256:")]
    assert (recipe.parent.parent / "case.yaml").is_file()
    write_tank(tmp_path / "cases")
    assert (
        Catalogue([tmp_path / "cases"], kept=tmp_path / "kept").recipe(Catalogue([tmp_path / "cases"]).find("tank"))
        is None
    )


def test_hidden_folders_and_those_without_case_yaml_are_no_cases(tmp_path: Path) -> None:
    write_tank(tmp_path, name=".draft")
    (tmp_path / "notes").mkdir()
    assert not {".draft", "notes"} & set(case_folders([tmp_path]))


def test_a_version_is_kept_once(tmp_path: Path, database: Database) -> None:
    write_tank(tmp_path)
    version = Catalogue([tmp_path], database).find("tank").version
    again = Catalogue([tmp_path], database).find("tank")
    assert again.version == version == version_of(again.files)
    database.write_here(lambda c: table.keep_version(c, version, "tank", b"other"))
    assert Catalogue([], database).find("tank", version).version == version
