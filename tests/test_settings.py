"""gateway.toml and the environment: what is read, and how every mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import settings
from gateway.errors import ConfigurationError
from gateway.settings import Secret, find_file, load

GOOD = """
[gateway]
data = "/tmp/x"
default_target = "cluster"

[targets.cluster]
workdir = "/scratch/{username}"
[targets.cluster.transport]
kind = "ssh"
host = "login.example.org"
username = "alice"

[stores.blobs]
kind = "directory"
path = "/tmp/out"
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "gateway.toml"
    file.write_text(text)
    return file


def test_without_any_file_jobs_run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load(None, {"XDG_CONFIG_HOME": str(tmp_path)})
    assert found.source is None
    assert (found.default_target, found.default_store) == ("local", "local")
    assert found.targets["local"].transport == {"kind": "local"}


def test_the_places_of_the_file_are_tried_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "config/science-gateway"
    home.mkdir(parents=True)
    (home / "gateway.toml").write_text("")
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    monkeypatch.chdir(tmp_path)
    assert find_file(None, environ) == home / "gateway.toml"
    (tmp_path / "gateway.toml").write_text("")
    assert find_file(None, environ) == Path("gateway.toml")
    named = write(home, "")
    assert find_file(None, {**environ, "GATEWAY_CONFIG": str(named)}) == named
    assert find_file(tmp_path / "gateway.toml", {"GATEWAY_CONFIG": str(named)}) == tmp_path / "gateway.toml"
    with pytest.raises(ConfigurationError, match="does not exist"):
        find_file(tmp_path / "nosuch.toml", {})


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    environ = {
        "GATEWAY__TARGETS__CLUSTER__TRANSPORT__HOST": "other.example.org",
        "GATEWAY__TARGETS__CLUSTER__POLL_INTERVAL": "2.5",
        "GATEWAY__TARGETS__CLUSTER__TRANSPORT__HOST_KEY": '["ssh-ed25519 AAAA"]',
        "UNRELATED": "x",
    }
    found = load(write(tmp_path, GOOD), environ).targets["cluster"]
    assert found.transport["host"] == "other.example.org"
    assert found.transport["host_key"] == ["ssh-ed25519 AAAA"]
    assert found.poll_interval == 2.5


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"GATEWAY__GATEWAY__NOSUCH": "1"}, "gateway.nosuch"),
        ({"GATEWAY__NOSUCH__X": "1"}, "nosuch"),
        ({"GATEWAY__TARGETS__CLUSTER__NOSUCH": "1"}, "targets.cluster.nosuch"),
    ],
)
def test_an_unknown_override_is_an_error_that_names_the_key(tmp_path: Path, environ, key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(write(tmp_path, GOOD), environ)
    assert [error.pointer for error in caught.value.errors] == [key]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("[gateway]\nlisten = 3\nnosuch = 1", {"gateway.listen", "gateway.nosuch"}),
        ("[targets.'a b']\n", {"targets.a b.[key]"}),
        ("[targets.x]\npoll_interval = 0", {"targets.x.poll_interval"}),
        ('[gateway]\ndefault_target = "nosuch"', {"gateway.default_target"}),
        ('[gateway]\ndefault_store = "nosuch"', {"gateway.default_store"}),
        ('source = "x"', {"source"}),
    ],
)
def test_each_mistake_is_named_by_its_key(tmp_path: Path, text: str, keys: set[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(write(tmp_path, text), {})
    assert {error.pointer for error in caught.value.errors} == keys


def test_what_is_not_toml_says_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="line 2"):
        load(write(tmp_path, "[gateway]\nx = = 1\n"), {})


def test_a_secret_is_read_from_the_environment_or_a_file_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_SECRET", "hunter2")
    file = tmp_path / "secret"
    file.write_text("hunter3\n")
    by_env, by_file = Secret(env="TEST_SECRET"), Secret(file=file)
    assert (by_env.reveal(), by_file.reveal()) == ("hunter2", "hunter3")
    assert "hunter" not in repr(by_env) + repr(by_file)
    with pytest.raises(ConfigurationError, match="TEST_NOSUCH is not set"):
        Secret(env="TEST_NOSUCH").reveal()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Secret(file=tmp_path / "nosuch").reveal()


def test_a_secret_written_into_the_file_is_refused() -> None:
    with pytest.raises(ValueError, match="a secret is"):
        settings.Secret.model_validate({})
