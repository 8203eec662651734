"""Pages stay right while jobs come."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.conftest import JOBS, open_site, settings_for


@settings(max_examples=15, deadline=None)
@given(
    before=st.integers(0, 9),
    limit=st.integers(1, 4),
    newcomers=st.lists(st.integers(0, 2), max_size=6),
    ascending=st.booleans(),
)
def test_jobs_that_come_while_paging_neither_repeat_nor_hide_others(
    before: int, limit: int, newcomers: list[int], ascending: bool
) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_site(settings_for(Path(folder) / "data")) as site:
                old = [(await site.submit())["id"] for _ in range(before)]
                seen: list[str] = []
                coming = iter(newcomers)
                query = {"limit": str(limit), "sort": "created_at" if ascending else "-created_at"}
                while True:
                    page = (await site.http.get(JOBS, params=query)).json()
                    assert len(page["items"]) <= limit
                    seen += [item["id"] for item in page["items"]]
                    if page["next_cursor"] is None:
                        break
                    query["cursor"] = page["next_cursor"]
                    for _ in range(next(coming, 0)):
                        await site.submit()
                assert len(seen) == len(set(seen))
                mine = [job_id for job_id in seen if job_id in set(old)]
                assert mine == (old if ascending else old[::-1])
                if not ascending:
                    assert mine == seen

    asyncio.run(run())
