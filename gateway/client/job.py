"""A job in one's hand: what is known of it, and what can be done with it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from gateway.client import calls, downloads, streams, uploads
from gateway.client.handles import JobFacts
from gateway.client.progress import display
from gateway.client.series import Series, SeriesSet
from gateway.client.tree import SHOWN, Tree, rows
from gateway.model.job import Event, Job, OutputFile, OutputsSummary, StoreOutputs
from gateway.model.states import OutputsState

if TYPE_CHECKING:
    from gateway.client.gateway import Gateway

BUFFER = 1 << 20
"""Bytes that are read ahead of an open output."""


class JobHandle(JobFacts):
    """A job. Its fields are attributes, as they were when last asked about; `refresh` asks again."""

    def __init__(self, gateway: Gateway, info: Job) -> None:
        self._gateway = gateway
        self.info = info

    def refresh(self) -> JobHandle:
        """Ask how the job is now."""
        self.info = self._gateway.run(calls.job(self.info.id))
        return self

    def wait(self, timeout: float | None = None, *, progress: bool = False, poll: float = 0.5) -> JobHandle:
        """Wait until the job has ended.

        Parameters
        ----------
        timeout
            Seconds, after which `TimeoutError` is raised.
        progress
            Show how it goes: a bar in a terminal, plain lines elsewhere.
        """
        with display(progress) as shown:
            self.info = self._gateway.run(calls.wait(self.info.id, timeout, poll), shown.job)
        return self

    # ---- verbs

    def submit(self) -> JobHandle:
        """Let a draft run."""
        return self._act("submit")

    def cancel(self) -> JobHandle:
        """Ask for its end; its outputs are kept."""
        return self._act("cancel")

    def hold(self) -> JobHandle:
        """Keep it from starting."""
        return self._act("hold")

    def release(self) -> JobHandle:
        """Let it start after `hold`."""
        return self._act("release")

    def sync(self) -> JobHandle:
        """Ask for a full pass over its outputs now."""
        return self._act("sync")

    def abandon(self) -> JobHandle:
        """Give it up where its state is unknown."""
        return self._act("abandon")

    def _act(self, verb: str) -> JobHandle:
        self.info = self._gateway.run(calls.act(self.info.id, verb))
        return self

    def edit(self, **changes: Any) -> JobHandle:
        """Change it, where nobody else has meanwhile: all of a draft, else name, tags and notes.

        Raises
        ------
        PreconditionFailed
            It was changed since it was last asked about.
        """
        self.info = self._gateway.run(calls.patch(self.info.id, changes, self.info.version))
        return self

    def delete(self) -> None:
        """Forget it; its outputs stay in the stores."""
        self._gateway.run(calls.delete(self.info.id))

    def rerun(self, *, draft: bool = False, **changes: Any) -> JobHandle:
        """Run the same again with other ``values``, ``target``, ``stores`` …; the new job's `changes` name them."""
        return JobHandle(self._gateway, self._gateway.run(uploads.rerun(self.info.id, changes, draft=draft)))

    def clone(self) -> JobHandle:
        """Return a new draft with the same request."""
        return JobHandle(self._gateway, self._gateway.run(calls.clone(self.info.id)))

    # ---- what it says

    def script(self) -> str:
        """Return the batch script of the current attempt."""
        return self._gateway.run(calls.text_of(self.info.id, "script"))

    def manifest(self) -> dict[str, Any]:
        """Return the signed manifest of its outputs."""
        return self._gateway.run(calls.manifest(self.info.id))

    def log(self, stream: str = "stdout") -> str:
        """Return a log as far as it was written."""
        return self._gateway.run(streams.whole_log(self.info.id, stream)).decode("utf-8", "replace")

    def logs(self, stream: str = "stdout", *, follow: bool = False, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of a log; with `follow` until the job has ended."""
        if follow:
            return self._gateway.follow_log(self.info.id, stream, offset)
        return self._gateway._driver.stream(streams.log_pieces(self.info.id, stream, offset))

    def events(self, after: int = 0) -> Iterator[Event]:
        """Yield what happened to it, and what happens, until it has ended."""
        return self._gateway._driver.stream(streams.events_to_end(self.info.id, after))

    @overload
    def data(self) -> SeriesSet: ...

    @overload
    def data(self, name: str) -> Series: ...

    def data(self, name: str | None = None) -> Series | SeriesSet:
        """Return one data series, or all of them, as far as they were written."""
        if name is None:
            return self._gateway.run(streams.all_series(self.info.id))
        return self._gateway.run(streams.whole_series(self.info.id, name))

    @property
    def outputs(self) -> Outputs:
        """Its outputs: ``tree()``, ``["VTK/a.vtk"]``, ``download(folder)``."""
        return Outputs(self._gateway, self.info)


class Outputs:
    """The outputs of a job in one store (its first, unless another one is named)."""

    def __init__(self, gateway: Gateway, job: Job, store: str | None = None) -> None:
        self._gateway, self._job, self._store = gateway, job, store

    def __call__(self, store: str) -> Outputs:
        """Return those in another store."""
        return Outputs(self._gateway, self._job, store)

    @property
    def info(self) -> OutputsSummary:
        """What was known of them when the job was last asked about."""
        return self._job.outputs

    @property
    def state(self) -> OutputsState:
        """How complete they are."""
        return self.info.state

    @property
    def count(self) -> int:
        """How many there are."""
        return self.info.count

    @property
    def bytes(self) -> int:
        """How many bytes they have."""
        return self.info.bytes

    @property
    def stores(self) -> dict[str, StoreOutputs]:
        """The same for each store."""
        return self.info.stores

    def __repr__(self) -> str:
        """Return what is known in a line."""
        return f"<outputs of {self._job.id[:8]}: {self.count}, {self.state}>"

    def tree(self, prefix: str = "", *, everything: bool = False) -> Tree:
        """Return them as a tree that prints; large folders stay folded unless `everything` is asked for."""
        listing = lambda level: calls.outputs(self._job.id, level, "/", self._store)
        return Tree(tuple(self._gateway.run(rows(listing, prefix, None if everything else SHOWN))))

    def files(self, pattern: str = "**") -> list[OutputHandle]:
        """Return those whose paths fit a pattern (``**`` any depth)."""
        return [OutputHandle(self._gateway, file) for file in self._matching(pattern)]

    def __iter__(self) -> Iterator[OutputHandle]:
        """Go through all of them."""
        return iter(self.files())

    def __getitem__(self, path: str) -> OutputHandle:
        """Return the output of this path; `NotFound` names some that are there."""
        return OutputHandle(self._gateway, self._gateway.run(calls.output(self._job.id, path, self._store)))

    def download(
        self,
        folder: Path | str,
        pattern: str = "**",
        on_progress: Callable[[downloads.Fetched], object] | None = None,
    ) -> list[Path]:
        """Fetch those that fit a pattern below `folder`; what is there already, whole, is not fetched again."""
        return self._gateway.run(downloads.download_all(self._matching(pattern), Path(folder)), on_progress)

    def _matching(self, pattern: str) -> list[OutputFile]:
        return self._gateway.run(calls.matching(self._job.id, pattern, self._store))


class OutputHandle:
    """One output; `info` is what the catalogue says of it."""

    def __init__(self, gateway: Gateway, info: OutputFile) -> None:
        self._gateway, self.info = gateway, info
        self.path, self.size, self.digest = info.path, info.size, info.digest

    def __repr__(self) -> str:
        """Return the output in a line."""
        return f"<output {self.path!r}, {self.size} bytes, {self.info.state}>"

    def open(self) -> io.BufferedReader:
        """Return it as a binary file, read where it stands; one can seek in it."""
        return io.BufferedReader(downloads.OutputReader(self.info, self._gateway.run), BUFFER)

    def read_bytes(self) -> bytes:
        """Return all its bytes."""
        return self._gateway.run(downloads.content(self.info))

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return it as text."""
        return self.read_bytes().decode(encoding, errors)

    def download(self, folder: Path | str = ".") -> Path:
        """Fetch it below `folder`, under its own path; return where it is."""
        return self._gateway.run(downloads.download(self.info, Path(folder)))
