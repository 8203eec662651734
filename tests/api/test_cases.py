"""Cases over HTTP: what forms are drawn from, checks, jobs, pictures, sets of values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.model.case import CaseInfo, CasePage
from tests.api.conftest import JOBS, Site, open_site, settings_for
from tests.cases.written import FILES, write_tank

CASES = "/api/v1/cases"
TANK = f"{CASES}/tank"
SVG = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
DIGEST = "sha256:" + "7" * 64
in_one_loop = pytest.mark.asyncio(loop_scope="module")
pytestmark = in_one_loop


@dataclass(frozen=True)
class Built:
    name: str = "cavity"
    digest: str = DIGEST


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Site, Path]]:
    folder = tmp_path_factory.mktemp("cases")
    cases = folder / "published"
    settings = settings_for(folder / "data", gateway={"cases": [str(cases)]})
    async with open_site(settings) as opened:
        yield opened, cases


@pytest.fixture
def site(shared: tuple[Site, Path]) -> Site:
    site, cases = shared
    write_tank(cases, {**FILES, "picture.svg": SVG}, thumbnail="picture.svg")
    return site


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["pointer"] for error in answer.json()["errors"]]


async def test_cases_are_listed_and_shown_with_all_that_a_form_needs(site: Site) -> None:
    page = CasePage.model_validate((await site.http.get(CASES)).json())
    items = {item.name: item for item in page.items}
    assert items["cavity"].image.state == "not_built"
    assert items["tank"].image.state == "remote"
    answer = await site.http.get(TANK)
    body = answer.json()
    info = CaseInfo.model_validate(body)
    assert [p.name for family in info.families for p in family.parameters][:2] == ["speed", "cells"]
    assert body["schema"]["properties"]["speed"]["x-step"] == 0.1
    assert body["resources"]["cpus"] == "{cells}"
    assert body["progress"]["max"] == "cells"
    assert body["data"][0]["columns"][0]["name"] == "t"
    again = await site.http.get(TANK, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    version = await site.http.get(f"{TANK}/versions/{info.version}")
    assert version.json() == body


async def test_what_is_not_there_is_not_found(site: Site) -> None:
    for path in (
        "nosuch",
        f"tank/versions/{DIGEST}",
        "tank/versions/x",
        "cavity/versions/%00",
        "nosuch/values",
        "tank/values/x",
    ):
        assert (await site.http.get(f"{CASES}/{path}")).status_code == 404
    assert (await site.http.get(f"{CASES}/nosuch/thumbnail")).status_code == 404
    assert (await site.http.post(f"{CASES}/nosuch/check", json={"values": {}})).status_code == 404


async def test_a_picture_carries_the_headers_that_keep_its_scripts_still(site: Site) -> None:
    thumbnail = (await site.http.get(TANK)).json()["thumbnail"]
    answer = await site.http.get(thumbnail)
    assert answer.text == SVG
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == "attachment"
    again = await site.http.get(thumbnail, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


async def test_a_check_names_each_parameter_or_completes_the_values(site: Site) -> None:
    answer = await site.http.post(f"{TANK}/check", json={"values": {"cells": 4, "title": "${x}"}})
    assert answer.json()["values"]["cells"] == 4
    assert answer.json()["values"]["speed"] == 0.5
    wrong = await site.http.post(f"{TANK}/check", json={"values": {"cells": 0, "nosuch": 1}})
    assert sorted(pointers(wrong)) == ["#/values/cells", "#/values/nosuch"]
    for body in ({}, {"values": []}, {"values": {}, "more": 1}, [1]):
        assert (await site.http.post(f"{TANK}/check", json=body)).status_code == 422


async def test_a_job_keeps_the_version_that_it_ran_with(site: Site, shared: tuple[Site, Path]) -> None:
    request = {"case": "tank", "values": {"cells": 4, "title": "<% ${x} {cells} ## \\"}, "target": "cluster"}
    answer = await site.http.post(JOBS, json=request)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    before = (await site.http.get(TANK)).json()["version"]
    assert (job["case"], job["case_version"], job["name"]) == ("tank", before, "Stirred tank")
    assert job["values"]["speed"] == 0.5
    assert job["spec"]["command"] == ["tank", "--speed=0.5", "<% ${x} {cells} ## \\"]
    assert job["spec"]["inputs"][0]["content"] == "speed 0.5\nheat \n<% ${x} {cells} ## \\\n"
    assert job["spec"]["resources"]["cpus"] == 4
    write_tank(shared[1], label="Another", command=["other"])
    after = (await site.http.get(TANK)).json()["version"]
    assert after != before
    assert (await site.http.get(f"{TANK}/versions/{before}")).json()["label"] == "Stirred tank"
    assert (await site.http.get(f"{JOBS}/{job['id']}")).json()["spec"] == job["spec"]
    # Asked again, it is the same; the new version is had by leaving it out.
    same = await site.http.post(JOBS, json={**request, "case_version": before})
    assert same.json()["spec"] == job["spec"]
    assert (await site.http.post(JOBS, json=request)).json()["case_version"] == after
    again = await site.http.post(f"{JOBS}/{job['id']}/rerun", json={})
    assert again.json()["spec"] == job["spec"], again.text
    newest = await site.http.post(f"{JOBS}/{job['id']}/rerun", json={"case_version": None})
    assert newest.json()["case_version"] == after


async def test_a_request_with_a_case_is_refused_in_the_places_of_the_request(site: Site) -> None:
    for body, expected in [
        ({"case": "nosuch"}, ["#/case"]),
        ({"case": "tank", "case_version": DIGEST}, ["#/case_version"]),
        ({"case": "tank", "values": {"cells": "4"}}, ["#/values/cells"]),
        ({"case": "tank", "values": {"cells": 4}, "command": ["x"]}, ["#/command"]),
        ({"case": "tank", "inputs": [{"path": "a", "content": "", "url": "x"}]}, ["#/inputs/0"]),
        ({"case": "tank", "inputs": [{"path": "in/settings", "content": ""}]}, ["#/inputs"]),
        ({"case": "tank", "resources": {"options": {"nosuch": "1"}}}, ["#/resources/options/nosuch"]),
        ({"case": "tank", "target": "nosuch"}, ["#/target"]),
        ({"values": {"cells": 4}, "command": ["x"]}, ["#/values"]),
        ({"case": ["tank"]}, ["#/case"]),
        ({"case": "tank", "values": {"mesh": {"url": "http://127.0.0.1/x"}}}, ["#/values/mesh/url"]),
        ({"command": ["x"], "image": {"ref": "built:x", "digest": DIGEST}}, ["#/image/digest"]),
    ]:
        answer = await site.http.post(JOBS, json={"target": "cluster", **body})
        assert pointers(answer) == expected, body


async def test_an_image_that_is_not_built_is_told_with_the_command_that_builds_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"case": "cavity", "values": {"reynolds": 10}, "target": "cluster"}
    answer = await site.http.post(JOBS, json=body)
    assert pointers(answer) == ["#/case"]
    assert "gateway cases build cavity" in answer.text
    monkeypatch.setattr(site.gateway.images, "find", lambda recipe: Built())
    job = (await site.http.post(JOBS, json=body)).json()
    assert job["spec"]["image"] == {
        "ref": "built:cavity",
        "digest": DIGEST,
        "mirrors": [],
        "manifest_digest": None,
    }
    assert (await site.http.get(f"{CASES}/cavity")).json()["image"] == {
        "state": "built",
        "digest": DIGEST,
        "message": None,
    }


async def test_a_build_is_begun_and_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.gateway.images, "begin_build", lambda recipe: "building")
    monkeypatch.setattr(site.gateway.images, "message", lambda recipe: "the build begins")
    answer = await site.http.post(f"{CASES}/cavity/build")
    assert answer.status_code == 202
    assert answer.json() == {"state": "building", "message": "the build begins"}
    assert (await site.http.post(f"{TANK}/build")).json()["state"] == "remote"


async def test_sets_of_values_are_kept_changed_and_forgotten(site: Site) -> None:
    place = f"{TANK}/values/fine mesh"
    made = await site.http.put(place, json={"values": {"cells": 32.0}}, headers={"If-None-Match": "*"})
    assert made.status_code == 201
    assert made.headers["ETag"] == '"1"'
    assert made.json()["values"] == {"cells": 32}
    for headers in ({"If-None-Match": "*"}, {"If-Match": '"9"'}):
        assert (await site.http.put(place, json={"values": {}}, headers=headers)).status_code == 412
    changed = await site.http.put(place, json={"values": {"cells": 16}}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert (await site.http.get(place)).json() == changed.json()
    assert (await site.http.get(place, headers={"If-None-Match": '"2"'})).status_code == 304
    assert [item["name"] for item in (await site.http.get(f"{TANK}/values")).json()["items"]] == ["fine mesh"]
    assert (await site.http.delete(place, headers={"If-Match": '"1"'})).status_code == 412
    assert (await site.http.delete(place)).status_code == 204
    assert (await site.http.delete(place)).status_code == 404
    assert (await site.http.put(place, json={"values": {}}, headers={"If-Match": "*"})).status_code == 412


async def test_a_set_of_values_holds_nothing_wrong(site: Site) -> None:
    assert pointers(await site.http.put(f"{TANK}/values/x", json={"values": {"cells": 1}})) == ["#/values/cells"]
    for name in ("%2E%2E", "a%2Fb", "%0A", "x" * 65, "%20x"):
        assert (await site.http.put(f"{TANK}/values/{name}", json={"values": {}})).status_code in (404, 422)
    assert (await site.http.get(f"{TANK}/values")).json()["items"] == []
