"""Renders the batch script of an attempt: directives, quoted assignments, and how the bash libraries are loaded.

The template ``batch.sh.mako`` holds directives and assignments only. Everything else reaches it as a value, which Mako
does not read again, so neither a person's text nor a library can mean anything to Mako.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from mako.template import Template

from gateway import templates
from gateway.errors import ConfigurationError, FieldError, InvalidRequest
from gateway.model.specification import Image, JobSpecification

LIBRARIES = (
    "records.sh",
    *templates.PULLER,
    "payload.sh",
    "host.sh",
    "beside.sh",
    "binds.sh",
    "tools.sh",
    "tool_calls.sh",
    "supervise.sh",
    "ranks.sh",
    "sync.sh",
    "sync_rclone.sh",
    "sync_scan.sh",
    "sync_follow.sh",
    "sync_pass.sh",
    "sync_final.sh",
    "main.sh",
)
"""The libraries of every script, in order; those of the runtimes come before ``main.sh``."""

GRACE, SAVE_GRACE = 10.0, 30.0
"""Seconds that a payload gets to end by itself; where a command has it save its state, two thirds are for that."""

_DIRECTIVE = re.compile(r"#(PBS|SBATCH) [A-Za-z0-9 _.:=,@+/%\[\]-]+")
_SCRATCH = re.compile(r"(?:\$[A-Za-z_][A-Za-z0-9_]*|\$\{[A-Za-z_][A-Za-z0-9_]*\}|/)[A-Za-z0-9_./@%+=-]*", re.ASCII)
_DESTINATION = re.compile(r"S(\d+):")
_LOADS = re.compile(r"^gw_libraries_digest=([0-9a-f]{64})$", re.MULTILINE)
_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_BREAKS = {"\n": "'$'\\n''", "\r": "'$'\\r''"}


@dataclass(frozen=True)
class PushTransfer:
    """One rclone run of each pass that the node makes.

    Attributes
    ----------
    store
        Index into the request's ``stores``.
    source
        Folder below the job's folder; empty for the whole.
    destination
        ``S<store>:<path>``, as rclone takes it.
    content_type
        Media type that each object gets; None leaves it to the store.
    arguments
        Further rclone arguments of the store; never secrets.
    running_filter, final_filter
        Lines of ``filter.<n>.running`` and ``filter.<n>.final``, which staging writes. Empty: nothing is copied.
    follow
        The files are only ever appended to.
    urgent_filters
        Lines of ``filter.<n>.urgent.<k>``: what is copied first where time is short.
    """

    store: int
    source: str
    destination: str
    content_type: str | None
    arguments: tuple[str, ...]
    running_filter: tuple[str, ...]
    final_filter: tuple[str, ...]
    follow: bool = False
    urgent_filters: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class ScriptTool:
    """An image whose commands the payload finds on its PATH; without `commands` the image itself is asked for them."""

    title: str
    image: Image
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Library:
    """The text of the bash libraries as a file on a target, which scripts load once its digest was checked.

    Attributes
    ----------
    path
        Absolute, on the target.
    digest
        SHA-256 of the text, in hexadecimal digits.
    """

    path: str
    digest: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class ScriptRequest:
    """All that the script of one attempt depends on (``docs/job-folder.md``).

    Attributes
    ----------
    directives
        The scheduler's lines (``#PBS …``, ``#SBATCH …``).
    preamble
        The admin's bash text, run before the runtime is looked for.
    walltime, reserve, kill_delay, grace
        Seconds: until the scheduler ends the job; kept for the final pass; between the scheduler's TERM and its
        KILL; that a payload gets to end by itself.
    runtimes
        Kinds to try, in order; ``("host",)`` for ``image: null``.
    runtime_libraries
        Bash text by kind.
    library
        Where the target has all libraries; None: the script holds them itself.
    scratch
        The admin's folder to run in: absolute, or beginning with a variable that the node has (``$TMPDIR``).
    rclone
        Path of rclone on the target; None where nothing is pushed.
    sync_interval, sync_settle
        Seconds between background passes (None: final pass only), and that a file must be unchanged before.
    progress_file, progress_pattern, progress_command
        The rule that tells how far the payload is: a file below the job's folder and a POSIX extended regular
        expression with one group, or a command that prints a number.
    save_command
        Asks the payload to save its state and to end, before it is told to end.
    launcher, nodes, tasks_per_node
        What starts the payload's processes (``none``: it is one, on the first node), and how many there are.
    asked_binds, bind_roots
        Folders of the node that the job asks to see, and below which of them it may.
    network
        False: the containers have none.
    tools, tool_runtimes
        Images whose commands the payload can call, and which runtimes they are tried with where it has none itself.
    pull
        The target's settings of the image pull, by their names in the puller without ``pull_``.
    """

    job_id: str
    attempt: int
    job_folder: str
    control_folder: str
    scheduler_kind: str
    directives: Sequence[str]
    preamble: str | None
    walltime: int
    reserve: float
    kill_delay: float
    grace: float
    runtimes: tuple[str, ...]
    runtime_libraries: Mapping[str, str]
    image_cache: str
    image: Image | None
    command: tuple[str, ...]
    env: Mapping[str, str]
    binds: tuple[str, ...]
    gpus: int
    scratch: str | None
    rclone: str | None
    stores: tuple[str, ...]
    transfers: tuple[PushTransfer, ...]
    sync_interval: float | None
    sync_settle: float
    progress_file: str | None = None
    progress_pattern: str | None = None
    progress_command: tuple[str, ...] = ()
    save_command: tuple[str, ...] = ()
    launcher: str = "none"
    nodes: int = 1
    tasks_per_node: int = 1
    library: Library | None = None
    asked_binds: tuple[str, ...] = ()
    bind_roots: tuple[str, ...] = ()
    network: bool = True
    tools: tuple[ScriptTool, ...] = ()
    tool_runtimes: tuple[str, ...] = ()
    pull: Mapping[str, str] = field(default_factory=dict)


def quote(value: object) -> str:
    r"""Return `value` as one bash word on one line.

    `shlex.quote`, with line breaks as ``$'\n'``: some schedulers take lines of a value for directives
    (``#PBS …``), and refuse scripts in which a line ends with a carriage return. None is the empty word, a float is
    written as a decimal number.

    Raises
    ------
    InvalidRequest
        The text cannot be delivered: it holds a NUL, or is not valid Unicode.
    """
    if value is None:
        return "''"
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest([FieldError("#", "must be valid Unicode")]) from None
    if "\0" in text:
        raise InvalidRequest([FieldError("#", "must not contain a NUL character")])
    word = shlex.quote(text)
    for character, escaped in _BREAKS.items():
        word = word.replace(character, escaped)
    return word


def words(values: Iterable[object]) -> str:
    """Return `values` as bash words, for an array."""
    return " ".join(quote(value) for value in values)


def command_of(specification: JobSpecification) -> tuple[str, ...]:
    """Return the payload's argument list: the command, or bash with the script as its text."""
    if specification.command is not None:
        return specification.command
    return ("bash", "-c", specification.script or "")


def asked_for(specification: JobSpecification) -> dict[str, Any]:
    """Return all fields of a `ScriptRequest` that follow from the specification alone; previews use it too."""
    resources, sync = specification.resources, specification.sync
    rule, save = specification.progress, specification.save_and_stop
    return {
        "walltime": resources.walltime,
        "reserve": sync.reserve,
        "grace": GRACE if save is None else SAVE_GRACE,
        "image": specification.image,
        "command": command_of(specification),
        "env": specification.env,
        "gpus": resources.gpus,
        "launcher": resources.launcher,
        "nodes": resources.nodes,
        "tasks_per_node": resources.tasks_per_node,
        "sync_interval": sync.interval,
        "sync_settle": sync.settle,
        "progress_file": rule.file if rule else None,
        "progress_pattern": rule.pattern if rule else None,
        "progress_command": (rule.command or ()) if rule else (),
        "save_command": save.command if save else (),
        "asked_binds": specification.binds,
        "network": specification.network,
        "tools": tuple(ScriptTool(tool.title, tool, tool.commands) for tool in specification.tools),
    }


def libraries(runtime_libraries: Mapping[str, str] | None = None) -> str:
    """Return the text of all bash libraries; a runtime text that several kinds share comes once."""
    own = [templates.library(name) for name in LIBRARIES]
    runtimes = dict.fromkeys((runtime_libraries or {}).values())
    return "\n".join(text.rstrip("\n") for text in [*own[:-1], *runtimes, own[-1]])


@cache
def _loader() -> str:
    """Return what loads the libraries, without its comments."""
    lines = templates.library("load.sh").splitlines()
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("# "))


@cache
def _library(tools: str, runtimes: tuple[tuple[str, str], ...]) -> Library:
    text = libraries(dict(runtimes)) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Library(f"{tools}/job-lib-{digest[:12]}.sh", digest, text)


def library_of(tools: str, runtime_libraries: Mapping[str, str]) -> Library:
    """Return the libraries as they belong into the folder `tools` of a target."""
    return _library(tools, tuple(runtime_libraries.items()))


def library_digest(script: str) -> str | None:
    """Return the digest of the libraries that a script loads; None where it has them in itself."""
    found = _LOADS.search(script)
    return found[1] if found else None


def render(request: ScriptRequest) -> str:
    """Return the text of ``job.sh``. The same request gives the same bytes.

    Raises
    ------
    InvalidRequest
        A directive leaves the closed alphabet, or a value cannot be delivered.
    ConfigurationError
        The admin's scratch folder is neither absolute nor begins with a variable.
    """
    _check(request)
    image = request.image
    context: dict[str, Any] = {
        **vars(request),
        "image_ref": image.ref if image else None,
        "image_digest": image.digest if image else None,
        "image_mirrors": image.mirrors if image else (),
        "libraries": libraries(request.runtime_libraries) if request.library is None else None,
        "loader": _loader(),
        "words": words,
    }
    return str(_template().render_unicode(**context))


@cache
def _template() -> Template:
    text = (templates.folder() / "batch.sh.mako").read_text(encoding="utf-8")
    return Template(  # noqa: S702 - the output is bash; every value is quoted by `quote`
        text,
        strict_undefined=True,
        default_filters=["quote"],
        imports=["from gateway.compute.script import quote"],
    )


def _check(request: ScriptRequest) -> None:
    for line in request.directives:
        if not _DIRECTIVE.fullmatch(line):
            raise InvalidRequest(
                [FieldError("#/resources", f"the directive {line[:100]!a} holds characters that are not allowed")]
            )
    if not _IDENTITY.fullmatch(request.job_id):
        raise InvalidRequest([FieldError("#/id", f"{request.job_id[:100]!a} is not a job's id")])
    if request.scratch and not _SCRATCH.fullmatch(request.scratch):
        raise ConfigurationError(
            f"scratch is {request.scratch!r}, which is neither an absolute folder nor begins with a variable",
            hint="write /local or $TMPDIR",
        )
    for transfer in request.transfers:
        match = _DESTINATION.match(transfer.destination)
        if not match or int(match[1]) != transfer.store or transfer.store >= len(request.stores):
            raise ValueError(f"{transfer.destination!r} is not a path of store {transfer.store}")
        if any("\n" in argument for argument in transfer.arguments):
            raise ValueError("an rclone argument holds a line break")
