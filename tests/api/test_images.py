"""The catalogue of images over HTTP, and jobs that name its images."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from catalogued import described, image_bytes

from gateway.db import images as table
from tests.api.conftest import JOBS, Site
from tests.api.somebody import stranger

IMAGES = "/api/v1/images"
ONE, TWO, THREE = "https://one.example/x", "https://two.example/x", "https://three.example/x"


async def _add(site: Site, name: str, *mirrors: Any, seed: int = 1, **more: Any) -> dict[str, Any]:
    body = {"names": [name], "mirrors": mirrors, **described(image_bytes(seed, 5000)), **more}
    answer = await site.http.post(IMAGES, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _at(name: str) -> str:
    return f"{IMAGES}/{quote(name, safe='')}"


async def test_an_image_is_found_by_name_digest_and_id_by_everybody(site: Site) -> None:
    made = await _add(site, "fsl/6.0.3", ONE, categories=["imaging"])
    async with stranger(site, role="viewer") as viewer:
        for key in ("fsl/6.0.3", made["digest"], made["id"]):
            answer = await viewer.get(_at(key))
            assert answer.json()["id"] == made["id"]
            assert answer.json()["pieces"] is None
        asked = await viewer.get(_at("fsl/6.0.3"), params={"pieces": True})
        assert asked.json()["pieces"] == described(image_bytes(1, 5000))["pieces"]
        for path, body in ((_at("fsl/6.0.3"), {"pinned": True}), (IMAGES, {}), (f"{IMAGES}/gc", {})):
            method = "PATCH" if path.endswith("6.0.3") else "POST"
            assert (await viewer.request(method, path, json=body)).status_code == 403
    assert (await site.http.get(_at("fsl/7"))).status_code == 404


async def test_a_list_is_paged_and_retired_images_are_not_offered(site: Site) -> None:
    for seed, name in enumerate(("b/1", "a/1", "c/1")):
        await _add(site, name, ONE, seed=seed)
    await site.http.patch(_at("c/1"), json={"live": False})
    first = (await site.http.get(IMAGES, params={"limit": 1})).json()
    rest = (await site.http.get(IMAGES, params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [first["items"][0]["name"], rest["items"][0]["name"], rest["next_cursor"]] == ["a/1", "b/1", None]
    retired = (await site.http.get(IMAGES, params={"live": False})).json()["items"]
    assert [item["name"] for item in retired] == ["c/1"]
    assert (await site.http.get(IMAGES, params={"cursor": "x"})).status_code == 422


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"names": []}, "#/names"),
        ({"names": ["FSL"]}, "#/names/0"),
        ({"mirrors": ["ftp://x/y"]}, "#/mirrors/0"),
        ({"mirrors": ["https://me:secret@x/y"]}, "#/mirrors/0"),
        ({"mirrors": ["http://10.0.0.1/y"]}, "#/mirrors/0/url"),
        ({"mirrors": []}, "#/mirrors"),
        ({"pieces": ["0" * 64] * 2}, "#/pieces"),
        ({"size": None}, "#/pieces"),
        ({"commands": ["../x"]}, "#/commands/0"),
        ({"colour": "red"}, "#/colour"),
    ],
)
async def test_an_image_that_cannot_be_is_refused_and_the_place_is_named(
    site: Site, change: dict[str, Any], place: str
) -> None:
    body = {"names": ["a/1"], "mirrors": [ONE], **described(image_bytes(1, 5000)), **change}
    answer = await site.http.post(IMAGES, json=body)
    assert answer.status_code == 422
    assert any(error["pointer"].startswith(place) for error in answer.json()["errors"]), answer.text


async def test_a_job_that_names_an_image_gets_its_digest_and_its_mirrors_in_the_targets_order(site: Site) -> None:
    made = await _add(site, "fsl/6.0.3", ONE, TWO, THREE, {"url": "https://four.example/x"})
    await site.gateway.database.write(lambda c: table.note_rate(c, "here", "three.example", 9e6))
    await site.gateway.database.write(lambda c: table.note_mirror(c, made["id"], ONE, state="dead"))
    await site.gateway.database.write(lambda c: table.note_mirror(c, made["id"], TWO, state="wrong"))
    job = await site.submit(image="fsl/6.0.3")
    image = job["spec"]["image"]
    assert (image["ref"], image["mirrors"], image["digest"]) == (THREE, ["https://four.example/x", ONE], made["digest"])
    assert (await site.http.get(_at("fsl/6.0.3"))).json()["used_at"] is not None
    by_digest = await site.submit(image=made["digest"])
    assert by_digest["spec"]["image"] == image


async def test_a_job_that_is_asked_for_again_gets_the_same_file_though_the_name_has_moved(site: Site) -> None:
    old = await _add(site, "fsl/6.0.3", ONE)
    job = await site.submit(image="fsl/6.0.3")
    await site.http.patch(_at("fsl/6.0.3"), json={"names": ["fsl/old"]})
    new = await _add(site, "fsl/6.0.3", TWO, seed=2)
    again = (await site.http.post(f"{JOBS}/{job['id']}/rerun", json={})).json()
    assert again["spec"]["image"]["digest"] == old["digest"]
    assert (await site.submit(image="fsl/6.0.3"))["spec"]["image"]["digest"] == new["digest"]
    sweep = {"job": {"name": "s", "command": ["true"], "image": "fsl/6.0.3"}, "grid": {"/env/A": ["1", "2"]}}
    made = (await site.http.post("/api/v1/sweeps", json=sweep)).json()
    await site.http.patch(_at("fsl/6.0.3"), json={"names": ["fsl/new"]})
    rerun = (await site.http.post(f"/api/v1/sweeps/{made['id']}/rerun", json={})).json()
    jobs = (await site.http.get(JOBS, params={"sweep": rerun["id"]})).json()["items"]
    specs = [(await site.http.get(f"{JOBS}/{item['id']}")).json()["spec"] for item in jobs]
    assert [spec["image"]["digest"] for spec in specs] == [new["digest"]] * 2


async def test_tools_are_found_in_the_catalogue_too_with_the_commands_it_knows(site: Site) -> None:
    made = await _add(site, "fsl/6.0.3", ONE, commands=["bet", "flirt"])
    job = await site.submit(tools=["fsl/6.0.3"])
    (tool,) = job["spec"]["tools"]
    assert (tool["name"], tool["ref"], tool["digest"]) == ("fsl/6.0.3", ONE, made["digest"])
    assert tool["commands"] == ["bet", "flirt"]


async def test_an_image_that_is_not_to_be_had_is_refused_and_the_place_is_named(site: Site) -> None:
    made = await _add(site, "fsl/6.0.3", ONE)
    await site.gateway.database.write(lambda c: table.note_mirror(c, made["id"], ONE, state="wrong"))
    for change, place, words in (
        ({"image": "fsl/6.0.3"}, "#/image", "has no mirror that has it"),
        ({"image": "fsl/9"}, "#/image", "not in the catalogue"),
        ({"image": {"ref": "fsl/6.0.3", "digest": "sha256:" + "0" * 64}}, "#/image", "with this digest"),
        ({"image": {"ref": "fsl/6.0.3", "mirrors": [ONE]}}, "#/image", ""),
        ({"tools": ["fsl/9"]}, "#/tools/0", "not in the catalogue"),
    ):
        answer = await site.http.post(JOBS, json={"name": "x", "command": ["true"], **change})
        assert answer.status_code == 422, answer.text
        assert any(e["pointer"] == place and words in e["detail"] for e in answer.json()["errors"]), answer.text


async def test_an_image_is_brought_to_a_target_by_a_job_that_does_nothing_else(site: Site) -> None:
    made = await _add(site, "fsl/6.0.3", ONE)
    headers = {"Idempotency-Key": "once"}
    async with stranger(site) as somebody:
        path = f"{_at('fsl/6.0.3')}/prefetch"
        answers = [await somebody.post(path, params={"target": "cluster"}, headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 202]
        jobs = [answer.json() for answer in answers]
        assert jobs[0]["id"] == jobs[1]["id"]
        assert (jobs[0]["target"], jobs[0]["tags"]) == ("cluster", {"prefetch": "fsl/6.0.3"})
        assert (jobs[0]["spec"]["image"]["digest"], jobs[0]["spec"]["outputs"]) == (made["digest"], [])
        assert (await somebody.post(path, params={"target": "nowhere"})).status_code == 422
        assert (await somebody.post(f"{_at('fsl/9')}/prefetch")).status_code == 404


async def test_room_is_made_in_a_targets_cache_and_what_is_needed_stays(site: Site) -> None:
    contents = {name: image_bytes(seed, 5000) for seed, name in enumerate(("old/1", "pinned/1", "needed/1"))}
    cache = site.gateway.data / "images"
    (cache / ".locks").mkdir(mode=0o700, parents=True)  # as the first pull made it
    for seed, (name, content) in enumerate(contents.items()):
        made = await _add(site, name, ONE, seed=seed, pinned=name == "pinned/1")
        (cache / f"{made['digest'].removeprefix('sha256:')}.sqfs").write_bytes(content)
    await site.submit(image="needed/1")
    unlimited = await site.http.post("/api/v1/targets/here/images/gc", json={})
    assert unlimited.json()["errors"][0]["pointer"] == "#/limit"
    answer = await site.http.post("/api/v1/targets/here/images/gc", json={"limit": 0})
    assert answer.status_code == 200, answer.text
    assert {item["name"]: item["kept"] for item in answer.json()["items"]} == {
        "old/1": None, "pinned/1": "wanted", "needed/1": "wanted",
    }  # fmt: skip
    assert len(list(cache.glob("*.sqfs"))) == 2
    assert answer.json()["left"] > 0
    roomy = await site.http.post("/api/v1/targets/here/images/gc", json={"limit": "1G"})
    assert roomy.json()["items"] == []
    assert (await site.http.post("/api/v1/targets/nowhere/images/gc", json={})).status_code == 404
