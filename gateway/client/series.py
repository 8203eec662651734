"""Data series: what a payload writes for plots, as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, overload

from gateway.client.text import line
from gateway.errors import GatewayError
from gateway.model.series import SeriesInfo, SeriesRows


class MissingExtra(GatewayError):
    """A package is missing that only some people need."""

    status, problem, title = 500, "missing-extra", "A Python package is missing"


def needed(module: str, extra: str) -> Any:
    """Return a module that an extra of this package brings.

    Raises
    ------
    MissingExtra
        It is not installed; names the extra.
    """
    try:
        return import_module(module)
    except ImportError:
        name = module.partition(".")[0]
        raise MissingExtra(f"{name} is not installed", hint=f'pip install "science-gateway[{extra}]"') from None


class Series:
    """A data series of a job, as far as it was written.

    Attributes
    ----------
    columns
        Names of the columns.
    rows
        The values, row by row, as the payload wrote them.
    """

    def __init__(self, info: SeriesInfo, columns: list[str], rows: list[list[Any]]) -> None:
        self.info, self.columns, self.rows = info, columns, rows
        self.name = info.name

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.rows)

    def __getitem__(self, column: str) -> list[Any]:
        """Return a column; `KeyError` names those that there are."""
        if column not in self.columns:
            raise KeyError(f"{column!r}; there are {', '.join(self.columns) or 'none'}")
        at = self.columns.index(column)
        return [row[at] if at < len(row) else None for row in self.rows]

    def __repr__(self) -> str:
        """Return the series in a line."""
        return f"<series {line(self.name)!r}: {len(self.rows)} rows of {', '.join(map(line, self.columns))}>"

    def label(self, column: str) -> str:
        """Return what a column is called, with its unit."""
        known = next((one for one in self.info.columns if one.name == column), None)
        title = line((known.label if known else None) or column)
        return f"{title} [{line(known.unit)}]" if known and known.unit else title

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame`; `MissingExtra` without pandas."""
        frame = needed("pandas", "pandas").DataFrame({column: self[column] for column in self.columns})
        return frame.set_index(self.info.x) if self.info.x in self.columns else frame

    def plot(self, axes: Any = None) -> Any:
        """Draw every column over the first (or over the one that the case calls ``x``); return the axes.

        Parameters
        ----------
        axes
            Of matplotlib, to draw into.
        """
        axes = axes if axes is not None else needed("matplotlib.pyplot", "plot").subplots()[1]
        x = self.info.x if self.info.x in self.columns else (self.columns or [""])[0]
        for column in self.columns:
            if column != x:
                axes.plot(self[x], self[column], label=self.label(column))
        axes.set_title(line(self.info.label or self.name))
        if x:
            axes.set_xlabel(self.label(x))
        axes.legend()
        return axes


class SeriesSet:
    """All data series of a job."""

    def __init__(self, series: Iterable[Series]) -> None:
        self._series = {one.name: one for one in series}

    def __iter__(self) -> Iterator[Series]:
        """Go through them."""
        return iter(self._series.values())

    def __len__(self) -> int:
        """Count them."""
        return len(self._series)

    @overload
    def __getitem__(self, which: str) -> Series: ...

    @overload
    def __getitem__(self, which: int) -> Series: ...

    def __getitem__(self, which: str | int) -> Series:
        """Return one by name or place; `KeyError` names those that there are."""
        if isinstance(which, int):
            return list(self._series.values())[which]
        if which not in self._series:
            raise KeyError(f"{which!r}; there are {', '.join(self._series) or 'none'}")
        return self._series[which]

    def __repr__(self) -> str:
        """Return a line for each."""
        return "\n".join(repr(one) for one in self) or "no data series"

    def to_pandas(self) -> dict[str, Any]:
        """Return a `pandas.DataFrame` for each, by name."""
        return {one.name: one.to_pandas() for one in self}

    def plot(self) -> Any:
        """Draw each into axes of its own, one below the other; return the figure."""
        if not self._series:
            raise GatewayError("the job has no data series to draw")
        pyplot = needed("matplotlib.pyplot", "plot")
        figure, axes = pyplot.subplots(
            len(self), 1, squeeze=False, figsize=(7, 3.5 * len(self)), constrained_layout=True
        )
        for one, place in zip(self, axes[:, 0], strict=True):
            one.plot(place)
        return figure


def put_together(info: SeriesInfo, pages: Iterable[SeriesRows]) -> Series:
    """Return the series of pages; one that says `reset` begins anew."""
    columns = [column.name for column in info.columns]
    rows: list[list[Any]] = []
    for page in pages:
        columns = [column.name for column in page.columns] or columns
        rows = ([] if page.reset else rows) + page.rows
    return Series(info, columns, rows)
