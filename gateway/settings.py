"""gateway.toml and the environment, as typed settings. Plugin sections stay raw here; `gateway.plugins` types them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from gateway.errors import ConfigurationError, FieldError
from gateway.model.base import Memory, Model, Name
from gateway.model.image_mirrors import ImageMirrorSettings
from gateway.model.retention import RetentionSettings

ENV_PREFIX = "GATEWAY__"

HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$", to_lower=True)]
"""A name in the Host header, without a port."""
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\[\]:-]{1,255}$", to_lower=True)]
"""Scheme, host and port of a web page; ``*`` is none: a token must never be of use to any page."""


class PluginSettings(Model):
    """Base of the settings that a plugin (transport, scheduler, runtime, store) owns."""

    kind: str


class Secret(Model):
    """Where a secret is to be found: an environment variable or a file. The value itself is never in a setting."""

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if (self.env is None) == (self.file is None):
            raise ValueError('a secret is { env = "NAME" } or { file = "path" }')
        return self

    def reveal(self) -> str:
        """Read the secret.

        Raises
        ------
        ConfigurationError
            It is not there. The message names the place, never a value.
        """
        if self.env is not None:
            value = os.environ.get(self.env)
            if not value:
                raise ConfigurationError(f"the environment variable {self.env} is not set")
            return value
        assert self.file is not None
        try:
            return self.file.expanduser().read_text().strip()
        except OSError as error:
            raise ConfigurationError(f"the secret file {self.file} cannot be read: {error.strerror}") from None


Folder = Annotated[str, StringConstraints(pattern=r"^/[^:,\x00-\x1f]*$")]
"""An absolute path on a target."""


class GatewaySettings(Model):
    """Section ``[gateway]``.

    Attributes
    ----------
    upload_limit
        Bytes (or ``50G``) that the uploads of one person may take.
    upload_days
        After so many days an upload that no job used is removed.
    rescue_days
        For so many days after a job's end the gateway goes on trying to bring what a store could not take then.
    audit_days
        After so many days a row of the audit log is removed; 0: never.
    trusted_keys
        Public keys of other gateways (as `GET /signing-keys` there lists them) whose signed manifests are believed.
    """

    listen: str = "127.0.0.1:8480"
    data: Path = Path("~/.local/share/science-gateway")
    database: str = "sqlite:///{data}/gateway.db"
    token_file: str = "{data}/token"
    default_target: Name | None = None
    default_store: Name | None = None
    upload_limit: Memory = Field(default=50 * 1024**3, ge=0)
    upload_days: float = Field(default=14, gt=0, le=3650)
    rescue_days: float = Field(default=7, ge=0, le=3650)
    audit_days: float = Field(default=400, ge=0, le=36500)
    trusted_keys: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")], ...] = ()
    cases: tuple[Path, ...] = ()
    allow_urls: tuple[str, ...] = ()
    host_names: tuple[HostName, ...] = ()
    """Further names that the Host header may have, such as the one of a reverse proxy."""
    cors_origins: tuple[Origin, ...] = ()
    """Web pages of these origins may use the API; none by default."""
    rate_limit: float | None = Field(default=None, ge=0, le=1e6)
    """Requests a second with one token; 0: no limit. Unset: 200, and none for the gateway's own token."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"

    @property
    def data_folder(self) -> Path:
        """Absolute data folder."""
        return self.data.expanduser().absolute()

    def expand(self, text: str) -> str:
        """Replace ``{data}``."""
        return text.replace("{data}", str(self.data_folder))


class AccountSettings(Model):
    """A section ``[targets.<name>.accounts.<person>]``: as whom, and with which key, a person's jobs run there."""

    username: str = Field(min_length=1, max_length=128)
    key_file: str | None = None
    certificate_file: str | None = None
    agent: bool | None = None


class BudgetSettings(Model):
    """A section ``[targets.<name>.budget]``: what all gateway processes together may ask of a site with one account."""

    commands_per_minute: int | None = Field(default=None, ge=1, le=100_000)
    channels: int | None = Field(default=None, ge=1, le=1000)
    """Remote commands at the same time."""
    connections_per_minute: int | None = Field(default=None, ge=1, le=1000)
    """Connections that are opened, those of copies through the gateway included."""


class RelaySettings(Model):
    """A section ``[targets.<name>.relay]``: what the gateway's own copies from a target's job folders may take."""

    at_once: int = Field(default=4, ge=1, le=64)
    """Copies at the same time; each is one more connection."""
    bandwidth: Memory | None = Field(default=None, ge=1)
    """Bytes a second (or ``20M``) of all of them together."""


class PullSettings(Model):
    """A section ``[targets.<name>.pull]``: how nodes get images.

    Attributes
    ----------
    time_limit
        Seconds for one image, the wait for other jobs' downloads included; no limit but the walltime where it is not
        set.
    max_rate
        Bytes a second (or ``100M``) of one download.
    locking
        ``lease`` for shared file systems whose ``flock`` holds on one node only; ``auto`` finds out what it can.
    read_only_caches
        Folders of the nodes with images named by their digests; looked at first, used in place.
    cache_limit
        Bytes (or ``500G``) that ``image_cache`` may take: what the gateway makes room to.
    """

    time_limit: int | None = Field(default=None, ge=10, le=30 * 86400)
    max_rate: Memory | None = Field(default=None, ge=1024)
    locking: Literal["auto", "lease"] = "auto"
    read_only_caches: tuple[Folder, ...] = ()
    cache_limit: Memory | None = Field(default=None, ge=0)

    def variables(self) -> dict[str, str]:
        """Return what differs from the puller's own defaults, by the names of its settings."""
        found = {
            "time_limit": self.time_limit and str(self.time_limit),
            "max_rate": self.max_rate and str(self.max_rate),
            "locking": None if self.locking == "auto" else self.locking,
            "read_only_caches": ":".join(self.read_only_caches),
        }
        return {name: value for name, value in found.items() if value}


class TargetSettings(Model):
    """A section ``[targets.<name>]``; transport, scheduler and runtime are typed by their plugins."""

    workdir: str = "{data}/work"
    image_cache: str = "{data}/images"
    scratch: str | None = None
    region: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] | None = None
    """Where it is, as mirrors of images name it: those of the same region come first."""
    poll_interval: float = Field(default=5, ge=0.1, le=3600)
    input_roots: tuple[Folder, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    path: str | None = None
    transport: dict[str, Any] = Field(default_factory=lambda: {"kind": "local"})
    scheduler: dict[str, Any] = Field(default_factory=lambda: {"kind": "direct"})
    runtime: dict[str, Any] = Field(default_factory=lambda: {"kind": "auto"})
    budget: BudgetSettings = Field(default_factory=BudgetSettings)
    relay: RelaySettings = Field(default_factory=RelaySettings)
    pull: PullSettings = Field(default_factory=PullSettings)
    people: frozenset[str] | None = None
    """Who may see and use it; everybody where it is not set."""
    clean_after_days: Annotated[float, Field(ge=0, le=36500)] | Literal["never"] = 30
    """A job's folder is removed so many days after its end, once its outputs are complete in all its stores."""
    architecture: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_]{1,32}$")
    """What the nodes are (``uname -m``), where the login node is something else."""
    accounts: dict[str, AccountSettings] = Field(default_factory=dict)
    accounts_only: bool = False
    """Whether people without an account of their own are refused."""

    def for_account(self, person: str) -> TargetSettings:
        """Return this section with the person's own account in the place of the community's."""
        account = self.accounts[person].model_dump(exclude_none=True)
        # A key of the community account must never be tried for somebody else's login.
        kept = {key: value for key, value in self.transport.items() if key not in _LOGIN_KEYS}
        return self.model_copy(update={"transport": {**kept, **account}})


_LOGIN_KEYS = frozenset({"username", "key_file", "passphrase", "certificate_file", "agent"})


class PublishingSettings(Model):
    """Section ``[image_publishing]``.

    Attributes
    ----------
    automatic
        Whether all live images are brought to all mirrors by themselves, every `every_hours`.
    at_once
        Images that are worked at at the same time.
    bandwidth
        Bytes a second (or ``20M``) of each copy that goes through the gateway.
    signing_key
        An Ed25519 key (PEM): a signature is put beside each image.
    """

    automatic: bool = False
    every_hours: float = Field(default=24, ge=0.1, le=8760)
    at_once: int = Field(default=2, ge=1, le=16)
    bandwidth: Memory | None = Field(default=None, ge=1)
    signing_key: Secret | None = None


RegistryHost = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?$", to_lower=True)
]
"""A registry as references name it: host, and port where it is not the usual one."""


class RegistrySettings(Model):
    """A section ``[registries."host"]``: how the gateway gets images from a registry of containers.

    Attributes
    ----------
    username, password
        Its login; with a token server, that server's.
    token
        Sent as it is, in the place of a login.
    token_servers
        Hosts (with port) other than the registry's own that may be given the login, because tokens come from there.
    plain_http
        It has no TLS.
    direct
        Nodes fetch SIF files from it themselves where it asks for no login; otherwise the gateway brings them.
    people
        Who may use its images; everybody where it is not set.
    """

    username: str | None = Field(default=None, min_length=1, max_length=256)
    password: Secret | None = None
    token: Secret | None = None
    token_servers: tuple[RegistryHost, ...] = ()
    plain_http: bool = False
    direct: bool = True
    people: frozenset[str] | None = None

    @model_validator(mode="after")
    def _one_login(self) -> RegistrySettings:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.token is not None and self.username is not None:
            raise ValueError("needs either a token or username and password, not both")
        return self


class Settings(Model):
    """The whole configuration.

    Attributes
    ----------
    store_people
        Who may see and use a store; everybody where it is not in here. In the file: ``people`` in the store's section.
    source
        The file it came from, None for the built-in default.
    """

    gateway: GatewaySettings = GatewaySettings()
    targets: dict[Name, TargetSettings] = Field(default_factory=dict)
    stores: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    store_people: dict[Name, frozenset[str]] = Field(default_factory=dict)
    retention: RetentionSettings = RetentionSettings()
    image_mirrors: tuple[ImageMirrorSettings, ...] = ()
    image_publishing: PublishingSettings = PublishingSettings()
    registries: dict[RegistryHost, RegistrySettings] = Field(default_factory=dict)
    source: Path | None = None

    @property
    def default_target(self) -> str | None:
        """Name of the target used where a job names none."""
        return self.gateway.default_target or (next(iter(self.targets)) if len(self.targets) == 1 else None)

    @property
    def default_store(self) -> str | None:
        """Name of the store used where a job names none."""
        return self.gateway.default_store or (next(iter(self.stores)) if len(self.stores) == 1 else None)


def built_in() -> dict[str, Any]:
    """Return the configuration without any file: run here, keep outputs in the data folder."""
    return {
        "gateway": {"default_target": "local", "default_store": "local"},
        "targets": {"local": {"poll_interval": 1}},
        "stores": {"local": {"kind": "directory", "path": "{data}/outputs"}},
    }


def find_file(explicit: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the configuration file to read: ``--config``, ``$GATEWAY_CONFIG``, ./gateway.toml, ~/.config/….

    Raises
    ------
    ConfigurationError
        A file was named and is not there.
    """
    named = explicit or (Path(environ["GATEWAY_CONFIG"]) if environ.get("GATEWAY_CONFIG") else None)
    if named is not None:
        if not named.expanduser().is_file():
            raise ConfigurationError(f"the configuration file {named} does not exist")
        return named.expanduser()
    config_home = Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    for candidate in (Path("gateway.toml"), config_home / "science-gateway/gateway.toml"):
        if candidate.is_file():
            return candidate
    return None


def apply_environment(raw: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Lay ``GATEWAY__A__B=value`` over `raw`. Keys are matched without case; values are TOML, else text."""
    for variable, text in environ.items():
        if not variable.startswith(ENV_PREFIX):
            continue
        *folders, key = variable.removeprefix(ENV_PREFIX).split("__")
        place = raw
        for folder in folders:
            place = place.setdefault(_same_key(place, folder), {})
            if not isinstance(place, dict):
                raise ConfigurationError(f"{variable}: {folder.lower()} is a value, not a section")
        place[_same_key(place, key)] = _toml_value(text)
    return raw


def _same_key(place: dict[str, Any], wanted: str) -> str:
    return next((key for key in place if key.lower() == wanted.lower()), wanted.lower())


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def field_errors(error: ValidationError, place: str = "") -> list[FieldError]:
    """Turn pydantic's mistakes into (dotted place, sentence) pairs."""
    found = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        key = ".".join(str(part) for part in item["loc"])
        found.append(FieldError(".".join(p for p in (place, key) if p), item["msg"].removeprefix("Value error, ")))
    return found


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration.

    Raises
    ------
    ConfigurationError
        The file cannot be read or is wrong; `errors` name every mistake with its key.
    """
    environ = os.environ if environ is None else environ
    file = find_file(path, environ)
    if file is None:
        raw = built_in()
    else:
        try:
            raw = tomllib.loads(file.read_text())
        except OSError as error:
            raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{file} is not valid TOML: {error}") from None
    return parse(apply_environment(raw, environ), file)


def _split_people(raw: dict[str, Any]) -> dict[str, Any]:
    """Take ``people`` out of the stores' sections, which belong to the plugins."""
    sections = raw.get("stores")
    if not isinstance(sections, dict):
        return raw
    named = {name: s["people"] for name, s in sections.items() if isinstance(s, dict) and "people" in s}
    stores = {
        name: {key: value for key, value in s.items() if key != "people"} if isinstance(s, dict) else s
        for name, s in sections.items()
    }
    return {**raw, "stores": stores, "store_people": named}


def parse(raw: dict[str, Any], source: Path | None = None) -> Settings:
    """Type `raw`; see `load`."""
    if own := {"source", "store_people"} & raw.keys():
        raise ConfigurationError("the configuration is wrong", [FieldError(min(own), "is not a section")])
    try:
        settings = Settings.model_validate({**_split_people(raw), "source": source})
    except ValidationError as error:
        raise ConfigurationError(f"{source or 'the configuration'} has mistakes", field_errors(error)) from None
    mistakes = [
        FieldError(f"gateway.{key}", f"there is no {kind} named {name!r}")
        for key, name, kind, known in (
            ("default_target", settings.gateway.default_target, "target", settings.targets),
            ("default_store", settings.gateway.default_store, "store", settings.stores),
        )
        if name is not None and name not in known
    ]
    names = [mirror.name for mirror in settings.image_mirrors]
    for number, mirror in enumerate(settings.image_mirrors):
        if mirror.store not in settings.stores:
            mistakes.append(FieldError(f"image_mirrors.{number}.store", f"there is no store named {mirror.store!r}"))
        if names.index(mirror.name) != number:
            mistakes.append(FieldError(f"image_mirrors.{number}.name", "two mirrors have the same name"))
    if mistakes:
        raise ConfigurationError(f"{source or 'the configuration'} has mistakes", mistakes)
    return settings
