"""The specification of a job: what a person asks for.

Every value is either carried to the job byte for byte or refused here; nothing is repaired in silence.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, StringConstraints, model_validator

from gateway.model.base import Digest, Line, Memory, Model, Name, Walltime, text_problem
from gateway.model.expressions import expression_problem

MAX_ARGUMENT = 100 * 1024
"""Bytes of one argument or variable. Linux takes 128 KiB (MAX_ARG_STRLEN); the rest is left to the wrapper."""
MAX_ARGUMENTS = 1024 * 1024
"""Bytes of all arguments and variables together (Linux gives a quarter of the stack, 2 MiB)."""

_RESERVED_ENV = re.compile(
    r"^(LD_|GATEWAY_|GW_|BASH|APPTAINER|SINGULARITY|CH_|PODMAN|DOCKER|CONTAINER|RCLONE_|XDG_|GCONV_PATH\Z|"
    r"MALLOC_|GLIBC_|PBS_|SLURM|SBATCH|ENV\Z|IFS\Z|SHELLOPTS\Z|PS4\Z|PROMPT_COMMAND\Z|HOME\Z|USER\Z|_\Z|PWD\Z|"
    r"LOCPATH\Z|NLSPATH\Z|TMPDIR\Z|UID\Z|EUID\Z|PPID\Z|pull_|gw_)"
)


def path_problem(path: str) -> str | None:
    """Say why `path` cannot name a file in the job's folder, or None."""
    if problem := text_problem(path):
        return problem
    if not path or path.startswith("/"):
        return "must be a path relative to the job's folder"
    if len(path.encode()) > 1024:
        return "must be at most 1024 bytes"
    parts = path.rstrip("/").split("/")
    if any(len(part.encode()) > 255 for part in parts):
        return "must have names of at most 255 bytes"
    if ".." in parts or "." in parts or "" in parts:
        return "must not contain '..', '.' or empty parts"
    if parts[0] == ".gateway":
        return "'.gateway' is reserved"
    return None


def _relative_path(value: str) -> str:
    if problem := path_problem(value):
        raise ValueError(problem)
    return value


RelativePath = Annotated[str, AfterValidator(_relative_path)]
"""A path below the job's folder: no ``..``, not absolute, not ``.gateway``."""


def _argument(value: str) -> str:
    if problem := text_problem(value, newlines=True):
        raise ValueError(problem)
    if len(value.encode()) > MAX_ARGUMENT:
        raise ValueError(f"must be at most {MAX_ARGUMENT} bytes")
    return value


Argument = Annotated[str, AfterValidator(_argument)]
"""Text that a process can be given as one argument."""

Url = Annotated[Line, StringConstraints(max_length=2048)]
_PLAIN_IMAGE = re.compile(r"^(https?://[^\s/@]+/\S+|file:///\S+|/\S+)\Z")
_MADE_IMAGE = re.compile(r"^(docker|oras|library|shub|s3|swift|azure|store|cvmfs|file):\S+\Z")
"""Read further by `gateway.images.references`, which says what is wrong with one."""
_BUILT = re.compile(r"^built:[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_NAMED = re.compile(r"^([a-z0-9][a-z0-9_.+-]{0,63}/[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}|sha256:[0-9a-f]{64})\Z")


class Image(Model):
    """A container image: where it comes from and, for proof, the SHA-256 of the file.

    ``built:<name>`` with a digest is an image that the gateway built itself and delivers to the target;
    ``tool/version`` is one of the catalogue. What the tag of a registry's image (``docker://``, ``oras://``) means is
    found out once: `manifest_digest` then says which it is.
    """

    ref: Url
    digest: Digest | None = None
    mirrors: tuple[Url, ...] = Field(default=(), max_length=16)
    manifest_digest: Digest | None = None

    @property
    def is_built(self) -> bool:
        """Whether the gateway has the file itself."""
        return _BUILT.match(self.ref) is not None and self.digest is not None and not self.mirrors

    @property
    def is_named(self) -> bool:
        """Whether it is an image of the catalogue, by its name or digest."""
        return _NAMED.match(self.ref) is not None and not self.mirrors

    @model_validator(mode="after")
    def _supported(self) -> Self:
        if not (_PLAIN_IMAGE.match(self.ref) or _MADE_IMAGE.match(self.ref) or self.is_built or self.is_named):
            raise ValueError(
                "is not an image reference that this gateway can fetch: use a name of the catalogue, "
                "docker://…, oras://…, library://…, https://…, http://… (without a user name in it), file:///…, "
                "cvmfs:///… or a path on the target"
            )
        for mirror in self.mirrors:
            if not _PLAIN_IMAGE.match(mirror):
                raise ValueError("mirrors: each must be https://…, http://…, file:///… or a path on the target")
        return self


CommandName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,127}$")]


class Tool(Image):
    """An image whose commands the payload finds on its PATH, each run in a container of that image.

    Without `commands` the image is asked for them: what it declares, else what its own folders of programs have.
    """

    name: Annotated[Line, StringConstraints(min_length=1, max_length=200)] | None = None
    commands: tuple[CommandName, ...] = Field(default=(), max_length=5000)

    @property
    def title(self) -> str:
        """How people know it."""
        return self.name or self.ref


def _bind(value: str) -> str:
    parts = value.split("/")[1:]
    if not value.startswith("/") or ".." in parts or "." in parts or "" in parts:
        raise ValueError("must be an absolute folder of the target, without '.', '..' and empty parts")
    if ":" in value or "," in value:
        raise ValueError("must not contain ':' or ',', which container runtimes take for separators")
    return value


Bind = Annotated[Line, StringConstraints(max_length=1024), AfterValidator(_bind)]


class StoreChoice(Model):
    """One of the stores of a job, with its own place and outputs."""

    store: Name
    path: RelativePath | None = None
    outputs: tuple[Output, ...] | None = None


class Output(Model):
    """Which files of the job's folder are outputs, and where they go in the store."""

    source: Annotated[Line, StringConstraints(min_length=1, max_length=1024)]
    destination: Annotated[Line, StringConstraints(max_length=1024)] | None = None
    content_type: (
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9.+-]+/[A-Za-z0-9.+-]+(; ?[a-z]+=[A-Za-z0-9-]+)?$")] | None
    ) = None
    follow: bool = False
    when: Literal["running", "end"] = "running"

    @model_validator(mode="after")
    def _inside(self) -> Self:
        for value in (self.source.rstrip("/"), (self.destination or "").rstrip("/")):
            if value and (problem := path_problem(value)):
                raise ValueError(f"{value!r} {problem}")
        return self


class Input(Model):
    """A file put into the job's folder before it runs."""

    path: RelativePath
    content: Annotated[str, StringConstraints(max_length=1024 * 1024)] | None = None
    url: Url | None = None
    digest: Digest | None = None
    upload: Digest | None = None
    job: Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")] | None = None
    output: RelativePath | None = None
    target_path: Line | None = None
    executable: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [n for n in ("content", "url", "upload", "job", "target_path") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError("needs exactly one of content, url, upload, job (with output) or target_path")
        if self.digest is not None and self.url is None:
            raise ValueError("digest goes with url (an upload's digest is the upload itself)")
        if (self.job is None) != (self.output is None):
            raise ValueError("job and output go together")
        if self.path.endswith("/"):
            raise ValueError("path must name a file")
        return self


OptionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
DirectiveValue = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:=,@+/-]{0,255}$")]
"""Directive values are not shell words, so the alphabet is closed (design: *The script*)."""


class Resources(Model):
    """What one job needs, per node.

    Attributes
    ----------
    launcher
        What starts `tasks_per_node` processes of the payload on each node, each in a container of its own; ``none``:
        the payload is one process, on the first node.
    """

    nodes: int = Field(default=1, ge=1, le=100_000)
    cpus: int = Field(default=1, ge=1, le=100_000)
    memory: Memory | None = Field(default=None, ge=1024 * 1024, le=2**60)
    gpus: int = Field(default=0, ge=0, le=1024)
    tasks_per_node: int = Field(default=1, ge=1, le=100_000)
    launcher: Literal["none", "srun", "mpirun"] = "none"
    walltime: Walltime = Field(default=3600, ge=5, le=366 * 86400)
    queue: DirectiveValue | None = None
    account: DirectiveValue | None = None
    options: dict[OptionName, DirectiveValue] = Field(default_factory=dict, max_length=32)


class Sync(Model):
    """When outputs are copied while the job runs (seconds)."""

    interval: float | None = Field(default=10, ge=1, le=86400)
    settle: float = Field(default=2, ge=0, le=3600)
    reserve: float = Field(default=60, ge=0, le=86400)


class Retry(Model):
    """How often, and after which reasons, the gateway tries a job again by itself."""

    attempts: int = Field(default=1, ge=1, le=20)
    reasons: tuple[str, ...] = ("node_failed", "image_pull_failed")


Label = Annotated[Line, StringConstraints(min_length=1, max_length=200)]
Unit = Annotated[Line, StringConstraints(min_length=1, max_length=40)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def _pattern(value: str) -> str:
    if problem := expression_problem(value):
        raise ValueError(problem)
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]
"""A POSIX extended regular expression with one group."""


def one_way(rule: Any) -> None:
    """Raise `ValueError` unless a rule of progress says in exactly one way where its value comes from."""
    if (rule.command is None) == (rule.file is None):
        raise ValueError("needs either file (with pattern) or command")
    if (rule.file is None) != (rule.pattern is None):
        raise ValueError("file and pattern go together")


class ProgressRule(Model):
    """How far the payload is: the last line of `file` that `pattern` matches, or what `command` prints.

    `pattern` is a POSIX extended regular expression whose one group gives the value; `command` runs in the container
    and prints a number. `min` and `max` are the values at the beginning and at the end.
    """

    file: RelativePath | None = None
    pattern: Pattern | None = None
    command: tuple[Argument, ...] | None = Field(default=None, min_length=1, max_length=1000)
    min: Finite = 0.0
    max: Finite = 1.0
    unit: Unit | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        one_way(self)
        if self.min == self.max:
            raise ValueError("min and max are the same")
        return self


SeriesName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class SeriesColumn(Model):
    """A column of a data series: its name in the file, and how people read it."""

    name: Label
    label: Label | None = None
    unit: Unit | None = None


class DataSeries(Model):
    """A table that the payload writes and that grows while it runs, for live plots.

    `format` follows from the file's ending where it is not given: ``.csv``, ``.json``, ``.jsonl``; else columns
    between spaces. `x` names the column of the horizontal axis. Without `columns` the file's own heads count.
    """

    name: SeriesName
    label: Label | None = None
    file: RelativePath
    format: Literal["csv", "json", "whitespace"] | None = None
    x: Label | None = None
    columns: tuple[SeriesColumn, ...] = Field(default=(), max_length=200)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("columns: a column is named twice")
        if self.x is not None and names and self.x not in names:
            raise ValueError(f"x: {self.x!r} is not one of the columns")
        if self.file.endswith("/"):
            raise ValueError("file: must name a file")
        return self


class SaveAndStop(Model):
    """A command that runs in the container before the payload is told to end."""

    command: tuple[Argument, ...] = Field(min_length=1, max_length=1000)


JobId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


def _notes(value: str) -> str:
    if problem := text_problem(value, newlines=True):
        raise ValueError(problem)
    return value


Notes = Annotated[str, StringConstraints(max_length=64 * 1024), AfterValidator(_notes)]
ValueName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
TagName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


def _plain_store(value: Any) -> Any:
    return {"store": value} if isinstance(value, str) else value


def plain_image(value: Any) -> Any:
    """Take a plain text for an image's ``ref``."""
    return {"ref": value} if isinstance(value, str) else value


class JobSpecification(Model):
    """The body of ``POST /api/v1/jobs``; unknown fields are refused.

    ``command`` is an argument list; ``script`` is bash text instead. ``image: null`` runs on the host where
    the target allows it. With a ``case`` the rest comes from the case and its ``values``. ``tools`` are images whose
    commands the payload calls; ``binds`` are folders of the target that it sees, read-only, below the roots that the
    target lists; ``network: false`` runs its containers without one.
    """

    name: Annotated[Line, StringConstraints(min_length=1, max_length=200)] = "job"
    target: Name | None = None
    stores: tuple[Annotated[StoreChoice, BeforeValidator(_plain_store)], ...] = Field(default=(), max_length=8)
    image: Annotated[Image, BeforeValidator(plain_image)] | None = None
    command: tuple[Argument, ...] | None = Field(default=None, min_length=1, max_length=10_000)
    script: Argument | None = None
    env: dict[EnvName, Argument] = Field(default_factory=dict, max_length=1000)
    inputs: tuple[Input, ...] = Field(default=(), max_length=10_000)
    outputs: tuple[Output, ...] | None = Field(default=None, max_length=200)
    exclude: tuple[Annotated[Line, StringConstraints(min_length=1, max_length=1024)], ...] = Field(
        default=(), max_length=200
    )
    resources: Resources = Resources()
    sync: Sync = Sync()
    retry: Retry = Retry()
    tags: dict[TagName, Annotated[Line, StringConstraints(max_length=256)]] = Field(default_factory=dict, max_length=64)
    case: Name | None = None
    case_version: Digest | None = None
    values: dict[ValueName, JsonValue] = Field(default_factory=dict, max_length=1000)
    progress: ProgressRule | None = None
    data: tuple[DataSeries, ...] = Field(default=(), max_length=50)
    save_and_stop: SaveAndStop | None = None
    after_success: tuple[JobId, ...] = Field(default=(), max_length=100)
    after_end: tuple[JobId, ...] = Field(default=(), max_length=100)
    notes: Notes | None = None
    tools: tuple[Annotated[Tool, BeforeValidator(plain_image)], ...] = Field(default=(), max_length=32)
    binds: tuple[Bind, ...] = Field(default=(), max_length=32)
    network: bool = True

    @property
    def image_digests(self) -> list[str]:
        """The files of its images, as far as their digests are known."""
        found = (self.image, *self.tools)
        return [image.digest for image in found if image is not None and image.digest is not None]

    @model_validator(mode="after")
    def _containers(self) -> Self:
        if self.resources.launcher != "none" and self.tools:
            raise ValueError("tools: do not go with a launcher: their containers run on the first node only")
        if self.resources.launcher != "none" and not self.network:
            raise ValueError("network: cannot be taken away from processes that a launcher starts: they speak by it")
        if self.image is None and self.case is None:
            if self.binds and not self.tools:
                raise ValueError("binds: need an image: without a container a payload sees what the account sees")
            if not self.network:
                raise ValueError("network: needs an image: it cannot be taken from a payload without a container")
        if len(set(self.binds)) != len(self.binds):
            raise ValueError("binds: a folder is named twice")
        titles = [tool.title for tool in self.tools]
        if len(set(titles)) != len(titles):
            raise ValueError("tools: a tool is named twice")
        return self

    @model_validator(mode="after")
    def _runs_something(self) -> Self:
        if self.command is not None and self.script is not None:
            raise ValueError("needs either command or script, not both")
        if self.command is None and self.script is None and self.case is None:
            raise ValueError("needs either command or script")
        for name in ("values", "case_version"):
            if getattr(self, name) and self.case is None:
                raise ValueError(f"{name}: goes with a case")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.command is not None and not self.command[0]:
            raise ValueError("command: the program's name is empty")
        if self.script is not None and not self.script.strip():
            raise ValueError("script: is empty")
        for name in self.env:
            if _RESERVED_ENV.match(name):
                raise ValueError(f"env: {name} is set by the gateway or the runtime and cannot be given")
        words = [*(self.command or (self.script or "",)), *(k + v for k, v in self.env.items())]
        if sum(len(word.encode()) + 1 for word in words) > MAX_ARGUMENTS:
            raise ValueError("command and env together must be below 1 MiB")
        paths = [item.path for item in self.inputs]
        if len(set(paths)) != len(paths):
            raise ValueError("inputs: two inputs have the same path")
        for path in paths:
            parents = {path[:i] for i, c in enumerate(path) if c == "/"}
            if parents & set(paths):
                raise ValueError(f"inputs: {path!r} lies below another input that is a file")
        names = [choice.store for choice in self.stores]
        if len(set(names)) != len(names):
            raise ValueError("stores: a store is named twice")
        series = [item.name for item in self.data]
        if len(set(series)) != len(series):
            raise ValueError("data: a series is named twice")
        return self


StoreChoice.model_rebuild()
JobSpecification.model_rebuild()
