"""The client of registries: against a real one, and against one that lies."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import GatewayError, ImageError, UrlError, UrlUnreachable
from gateway.images.manifests import Descriptor
from gateway.images.references import ImageReference
from gateway.images.registry import RegistryClient
from gateway.settings import RegistrySettings, Secret
from testbed.registry import DockerRegistry

LAYER = b"a layer" * 1000


@pytest.fixture(scope="module", params=["none", "basic", "token"])
def registry(request: pytest.FixtureRequest) -> Iterator[DockerRegistry]:
    with DockerRegistry(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def tokens() -> Iterator[DockerRegistry]:
    with DockerRegistry("token") as made:
        yield made


@pytest.fixture
def secret(tmp_path: Path) -> Callable[[str], Secret]:
    def keep(text: str) -> Secret:
        file = tmp_path / "secret"
        file.write_text(f"{text}\n")
        return Secret(file=file)

    return keep


def section(registry: DockerRegistry, secret: Callable[[str], Secret], **more: Any) -> RegistrySettings:
    found: dict[str, Any] = {"plain_http": True}
    if registry.login != "none":
        found |= {"username": registry.username, "password": secret(registry.password)}
    if registry.tokens is not None:
        found |= {"token_servers": (registry.tokens.host,)}
    return RegistrySettings(**{**found, **more})


def reference(registry: DockerRegistry, rest: str, scheme: str = "docker") -> ImageReference:
    return ImageReference.parse(f"{scheme}://{registry.host}/{rest}")


async def test_tags_digests_and_architectures_are_resolved_and_blobs_brought(
    registry: DockerRegistry, secret: Callable[[str], Secret], tmp_path: Path
) -> None:
    intel = registry.push("tools/a", "intel", [LAYER], config={"architecture": "amd64"})
    arm = registry.push("tools/a", "arm", [b"arm"], config={"architecture": "arm64"})
    index = registry.push_index("tools/a", "1.0", {"amd64": intel, "arm64": arm})
    client = RegistryClient({registry.host: section(registry, secret)})
    for which in (":1.0", f"@{index.digest}"):
        assert (await client.manifest(reference(registry, f"tools/a{which}"), "amd64")).digest == intel.digest
        assert (await client.manifest(reference(registry, f"tools/a{which}"), "arm64")).digest == arm.digest
    with pytest.raises(ImageError, match=r"no image for s390x, only for amd64, arm64"):
        await client.manifest(reference(registry, "tools/a:1.0"), "s390x")
    manifest = await client.manifest(reference(registry, "tools/a:intel"), "s390x")
    assert manifest.digest == intel.digest
    told: list[int] = []
    file = tmp_path / "blob"
    await client.blob(reference(registry, "tools/a:intel"), manifest.layers[0], file, told.append)
    assert file.read_bytes() == LAYER
    assert told[-1] == len(LAYER)
    file.write_bytes(LAYER[:1000])
    await client.blob(reference(registry, "tools/a:intel"), manifest.layers[0], file, told.append)
    assert file.read_bytes() == LAYER
    config = json.loads(await client.small_blob(reference(registry, "tools/a:intel"), manifest.config))
    assert config["architecture"] == "amd64"
    with pytest.raises(ImageError, match=r"has no such image or tag|wants a login, or has no such|refuses"):
        await client.manifest(reference(registry, "tools/nothing:1"), "amd64")
    client.close()


async def test_a_moved_tag_means_another_digest_and_the_old_digest_is_still_there(
    registry: DockerRegistry, secret: Callable[[str], Secret]
) -> None:
    client = RegistryClient({registry.host: section(registry, secret)})
    first = registry.push("tools/moving", "latest", [b"one"])
    before = await client.manifest(reference(registry, "tools/moving"), "amd64")
    second = registry.push("tools/moving", "latest", [b"two"])
    after = await client.manifest(reference(registry, "tools/moving"), "amd64")
    assert (before.digest, after.digest) == (first.digest, second.digest)
    old = await client.manifest(reference(registry, f"tools/moving@{first.digest}"), "amd64")
    assert old.layers == before.layers
    client.close()


async def test_a_sif_artefact_is_known_by_its_layer(registry: DockerRegistry, secret: Callable[[str], Secret]) -> None:
    registry.push_sif("tools/sif", "1", b"a sif")
    client = RegistryClient({registry.host: section(registry, secret)})
    manifest = await client.manifest(reference(registry, "tools/sif:1", "oras"), "amd64")
    assert manifest.sif is not None
    assert manifest.sif.digest == f"sha256:{hashlib.sha256(b'a sif').hexdigest()}"
    client.close()


async def test_a_wrong_or_missing_login_is_told_without_the_password(
    registry: DockerRegistry, secret: Callable[[str], Secret]
) -> None:
    if registry.login == "none":
        return
    registry.push("tools/private", "1", [LAYER])
    servers = (registry.tokens.host,) if registry.tokens else ()
    wrong = RegistrySettings(username="robot", password=secret("hunter2"), plain_http=True, token_servers=servers)
    for given, words in (
        (wrong, "refuses the gateway's login"),
        (RegistrySettings(plain_http=True, token_servers=servers), "wants a login, or has no such image"),
    ):
        client = RegistryClient({registry.host: given})
        with pytest.raises(ImageError, match=words) as caught:
            await client.manifest(reference(registry, "tools/private:1"), "amd64")
        assert "hunter2" not in str(caught.value)
        client.close()


async def test_public_images_of_a_token_server_need_no_login(tokens: DockerRegistry) -> None:
    assert tokens.tokens is not None
    pushed = tokens.push("tools/public", "1", [LAYER])
    tokens.tokens.public.add("tools/public")
    given = RegistrySettings(plain_http=True, direct=True, token_servers=(tokens.tokens.host,))
    client = RegistryClient({tokens.host: given})
    found = await client.manifest(reference(tokens, "tools/public:1"), "amd64")
    assert found.digest == pushed.digest
    assert client.open_to_nodes(reference(tokens, "tools/public:1")) is None
    client.close()


async def test_a_login_never_goes_to_a_token_server_that_nobody_named(
    tokens: DockerRegistry, secret: Callable[[str], Secret]
) -> None:
    assert tokens.tokens is not None
    tokens.push("tools/private", "1", [LAYER])
    before = len(tokens.tokens.asked)
    client = RegistryClient({tokens.host: section(tokens, secret, token_servers=())}, ["127.0.0.1"])
    with pytest.raises(ImageError, match=r"not to be given its login \(if that is right: token_servers"):
        await client.manifest(reference(tokens, "tools/private:1"), "amd64")
    assert len(tokens.tokens.asked) == before
    client.close()


async def test_a_token_server_that_is_away_is_waited_for_and_tokens_are_kept(
    tokens: DockerRegistry, secret: Callable[[str], Secret]
) -> None:
    assert tokens.tokens is not None
    tokens.push("tools/private", "1", [LAYER])
    client = RegistryClient({tokens.host: section(tokens, secret)})
    tokens.tokens.refuses.append(503)
    with pytest.raises(UrlUnreachable, match="status 503"):
        await client.manifest(reference(tokens, "tools/private:1"), "amd64")
    for _ in range(3):
        await client.manifest(reference(tokens, "tools/private:1"), "amd64")
    before = len(tokens.tokens.asked)
    await client.manifest(reference(tokens, "tools/private:1"), "amd64")
    assert len(tokens.tokens.asked) == before
    scopes = {scope for asked, _ in tokens.tokens.asked for scope in asked["scope"]}
    assert all(scope.endswith(":pull") for scope in scopes)
    client.close()


# ---- registries that lie


class Liar:
    """A server that answers each path as told, and remembers who was given a login."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.logins: list[tuple[str, str | None]] = []
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                liar.logins.append((self.path, self.headers.get("Authorization")))
                liar.answers.get(self.path, give(b"", 404))(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def give(body: bytes, status: int = 200, length: int | None = None, **headers: str) -> Callable[[Any], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for key, value in headers.items():
            handler.send_header(key.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        try:
            handler.wfile.write(body)
        except OSError:
            handler.close_connection = True

    return answer


@pytest.fixture
def liars() -> Iterator[tuple[Liar, Liar]]:
    made = (Liar(), Liar())
    yield made
    for liar in made:
        liar.stop()


@pytest.fixture
def lied(liars: tuple[Liar, Liar], secret: Callable[[str], Secret]) -> Iterator[tuple[Liar, Liar, RegistryClient]]:
    given = RegistrySettings(username="robot", password=secret("hunter2"), plain_http=True)
    client = RegistryClient({liars[0].host: given}, ["127.0.0.1"], idle_timeout=10)
    yield (*liars, client)
    client.close()


def manifest_of(**more: Any) -> bytes:
    piece = {"mediaType": "x", "digest": f"sha256:{'0' * 64}", "size": 1}
    return json.dumps({"schemaVersion": 2, "config": piece, "layers": [piece], **more}).encode()


PATH = "/v2/a/manifests/1"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (give(b"<html>", 200), "is no manifest"),
        (give(b"[" * 100_000), "is no manifest"),
        (give(b"x" * 5_000_000), "larger than"),
        (give(manifest_of(layers=[])), "means nothing"),
        (give(manifest_of(layers=[{"digest": "sha256:zz", "size": 1}])), "means nothing"),
        (give(manifest_of(layers=[{"digest": f"sha256:{'0' * 64}", "size": -1}])), "means nothing"),
        (give(manifest_of(schemaVersion=1)), "schema 1"),
        (
            give(
                manifest_of(
                    layers=[{"mediaType": "application/x.foreign.tar", "digest": f"sha256:{'0' * 64}", "size": 1}]
                )
            ),
            "not given out",
        ),
        (give(manifest_of(), Docker_Content_Digest=f"sha256:{'1' * 64}"), "not the one it announced"),
        (give(b"", 302), "leads nowhere"),
        (give(b"", 302, Location="/v2/a/manifests/1"), "more than 5 redirects"),
        (give(b"", 302, Location="ftp://example.org/x"), "must begin with https"),
        (give(b"", 302, Location="http://169.254.169.254/latest"), "link-local address"),
        (give(b"", 500), "status 500"),
        (give(b"", 429, Retry_After="7"), "in 7 s"),
        (give(b"", 418), "status 418"),
        (give(b"", 401), "login of an unknown kind"),
        (give(b"", 401, WWW_Authenticate="Digest realm=x"), "login of an unknown kind"),
        (give(b"", 401, WWW_Authenticate="Bearer service=x"), "login of an unknown kind"),
        (give(b"", 401, WWW_Authenticate="Basic realm=x"), "refuses the gateway's login"),
        (give(b"short", length=100), "ended too early"),
    ],
)
async def test_answers_of_a_lying_registry_are_refused(
    lied: tuple[Liar, Liar, RegistryClient], answer: Any, words: str
) -> None:
    liar, _, client = lied
    liar.answers[PATH] = answer
    with pytest.raises(GatewayError, match=words) as caught:
        await client.manifest(ImageReference.parse(f"docker://{liar.host}/a:1"), "amd64")
    assert isinstance(caught.value, ImageError | UrlError)
    assert "hunter2" not in str(caught.value)


async def test_a_manifest_asked_for_by_digest_must_have_it(lied: tuple[Liar, Liar, RegistryClient]) -> None:
    liar, _, client = lied
    digest = f"sha256:{'2' * 64}"
    liar.answers[f"/v2/a/manifests/{digest}"] = give(manifest_of())
    with pytest.raises(ImageError, match="with another digest"):
        await client.manifest(ImageReference.parse(f"docker://{liar.host}/a@{digest}"), "amd64")


async def test_a_login_stays_with_its_registry_over_redirects_and_realms(
    lied: tuple[Liar, Liar, RegistryClient],
) -> None:
    liar, other, client = lied
    reference = ImageReference.parse(f"docker://{liar.host}/a:1")
    liar.answers[PATH] = give(b"", 401, WWW_Authenticate="Basic realm=x")
    with pytest.raises(ImageError):
        await client.manifest(reference, "amd64")
    liar.answers[PATH] = give(b"", 307, Location=f"http://{other.host}/elsewhere")
    other.answers["/elsewhere"] = give(manifest_of())
    assert (await client.manifest(reference, "amd64")).layers
    liar.answers[PATH] = give(b"", 401, WWW_Authenticate=f'Bearer realm="http://{other.host}/token"')
    with pytest.raises(ImageError, match="not to be given its login"):
        await client.manifest(reference, "amd64")
    assert other.logins == [("/elsewhere", None)]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (give(b"wrong!"), ImageError, "other bytes"),
        (give(b"right!and more"), ImageError, "larger than its manifest says"),
        (give(b"rig", length=6), UrlUnreachable, "ended too early"),
        (give(b"rig"), UrlUnreachable, "ended after 3 of 6 bytes"),
        (give(b"ght!", 206, Content_Range="bytes 2-5/6"), ImageError, "at another place"),
    ],
)
async def test_blobs_are_whole_and_right_or_not_there(
    lied: tuple[Liar, Liar, RegistryClient], tmp_path: Path, answer: Any, error: type[Exception], words: str
) -> None:
    liar, _, client = lied
    blob = Descriptor(digest=f"sha256:{hashlib.sha256(b'right!').hexdigest()}", size=6)
    reference = ImageReference.parse(f"docker://{liar.host}/a:1")
    liar.answers[f"/v2/a/blobs/{blob.digest}"] = answer
    file = tmp_path / "blob"
    if "another" in words:
        file.write_bytes(b"r")
    with pytest.raises(error, match=words):
        await client.blob(reference, blob, file, lambda _: None)
    assert not file.exists() or b"right!".startswith(file.read_bytes())
    liar.answers[f"/v2/a/blobs/{blob.digest}"] = give(b"right!")
    await client.blob(reference, blob, file, lambda _: None)
    assert file.read_bytes() == b"right!"


async def test_private_registries_are_reached_only_where_the_configuration_names_them(registry: DockerRegistry) -> None:
    client = RegistryClient({})
    with pytest.raises(UrlError, match="loopback address"):
        await client.manifest(reference(registry, "tools/a:1"), "amd64")
    client.close()
