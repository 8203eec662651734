"""A sweep in one's hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gateway.client import sweep_calls
from gateway.client.handles import SweepFacts
from gateway.client.progress import display
from gateway.client.series import needed
from gateway.model.sweep import Sweep

if TYPE_CHECKING:
    from gateway.client.gateway import Gateway
    from gateway.client.job import JobHandle


class SweepHandle(SweepFacts):
    """A sweep. Its fields are attributes, as they were when last asked about; `refresh` asks again."""

    def __init__(self, gateway: Gateway, info: Sweep) -> None:
        self._gateway = gateway
        self.info = info

    def refresh(self) -> SweepHandle:
        """Ask how the sweep is now."""
        self.info = self._gateway.run(sweep_calls.sweep(self.info.id))
        return self

    def wait(self, timeout: float | None = None, *, progress: bool = False, poll: float = 0.5) -> SweepHandle:
        """Wait until all its jobs have ended; `TimeoutError` after `timeout` seconds."""
        with display(progress) as shown:
            self.info = self._gateway.run(sweep_calls.wait_sweep(self.info.id, timeout, poll), shown.sweep)
        return self

    def jobs(self, **filters: Any) -> Iterator[JobHandle]:
        """Yield its jobs."""
        return self._gateway.jobs(sweep=self.info.id, **filters)

    def cancel(self) -> SweepHandle:
        """Ask for the end of all its jobs."""
        self.info = self._gateway.run(sweep_calls.cancel_sweep(self.info.id))
        return self

    def rerun(self, *, failed: bool = False) -> SweepHandle:
        """Run it again: all of it, or only what has failed; return the new sweep."""
        return SweepHandle(self._gateway, self._gateway.run(sweep_calls.rerun_sweep(self.info.id, failed=failed)))

    def delete(self) -> None:
        """Forget it."""
        self._gateway.run(sweep_calls.delete_sweep(self.info.id))

    def csv(self) -> str:
        """Return the table of values and results as CSV."""
        return self._gateway.run(sweep_calls.sweep_csv(self.info.id))

    def table(self) -> list[dict[str, Any]]:
        """Return the table of values and results, one mapping a job."""
        return self._gateway.run(sweep_calls.sweep_table(self.info.id))

    def to_pandas(self) -> Any:
        """Return the table as a `pandas.DataFrame`; `MissingExtra` without pandas."""
        return needed("pandas", "pandas").DataFrame(self.table())
