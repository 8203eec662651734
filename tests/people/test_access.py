"""Who may use which target and store, and as which account."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigurationError, InvalidRequest
from gateway.jobs.acceptance import Acceptance
from gateway.jobs.configured import build_accounts, check_configuration
from gateway.people.access import lane_of, visible
from gateway.settings import Settings, parse


def settings(tmp_path: Path, **target: object) -> Settings:
    transport = {"kind": "ssh", "host": "h", "username": "community", "key_file": "~/community", "agent": True}
    return parse(
        {
            "gateway": {"data": str(tmp_path)},
            "targets": {"x": {"transport": transport, "workdir": "/scratch/{username}", **target}, "open": {}},
            "stores": {
                "mine": {"kind": "directory", "path": "/m", "people": ["alice"]},
                "all": {"kind": "directory", "path": "/a"},
            },
        }
    )


def test_targets_and_stores_are_seen_by_those_who_may_use_them(tmp_path: Path) -> None:
    found = settings(tmp_path, people=["alice"])
    assert visible(found, found.targets, "alice") == ["x", "open"]
    assert visible(found, found.targets, "bob") == ["open"]
    assert visible(found, found.stores, "alice", stores=True) == ["mine", "all"]
    assert visible(found, found.stores, "bob", stores=True) == ["all"]


def test_a_person_with_an_account_has_a_lane_of_that_login_alone(tmp_path: Path) -> None:
    found = settings(tmp_path, accounts={"alice": {"username": "al", "key_file": "~/al"}})
    assert lane_of(found, "x", "alice") == "x@alice"
    assert lane_of(found, "x", "bob") == "x"
    (target,) = build_accounts(found).values()
    assert (target.name, target.public_name, target.workdir) == ("x@alice", "x", "/scratch/al")
    login = found.targets["x"].for_account("alice").transport
    assert login == {"kind": "ssh", "host": "h", "username": "al", "key_file": "~/al"}
    assert [mistake.pointer for mistake in check_configuration(found)] == []


def test_an_account_that_cannot_log_in_is_named_by_the_check(tmp_path: Path) -> None:
    found = settings(tmp_path, accounts={"alice": {"username": "not a name"}})
    assert "targets.x" in check_configuration(found)[0].pointer
    with pytest.raises(ConfigurationError):
        build_accounts(found)


def test_without_an_account_nobody_uses_a_target_that_wants_one(tmp_path: Path) -> None:
    from gateway.jobs.configured import build_stores, build_targets

    found = settings(tmp_path, accounts={"alice": {"username": "al"}}, accounts_only=True)
    targets = build_targets(found)
    acceptance = Acceptance(found, targets, build_stores(found, targets))
    body = {"command": ["true"], "image": "/a.sif", "target": "x", "stores": ["mine"]}
    assert acceptance.for_person("alice").accept(body).target == "x"
    with pytest.raises(InvalidRequest) as caught:
        acceptance.for_person("bob").accept(body)
    problems = {error.pointer: error.detail for error in caught.value.errors}
    assert problems.keys() == {"#/target", "#/stores/0"}
    assert "administrator" in problems["#/target"]
    assert "mine" not in problems["#/stores/0"]


@pytest.mark.parametrize("raw", [{"store_people": {}}, {"gateway": {"cors_origins": ["*"]}}])
def test_settings_that_would_open_what_must_stay_shut_are_refused(raw: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        parse(raw)
