"""References of images as people write them."""

from __future__ import annotations

import pytest

from gateway.images.references import BadReference, ImageReference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "scheme", "host", "name", "tag", "digest"),
    [
        ("docker://alpine", "docker", "docker.io", "library/alpine", "latest", None),
        ("docker://alpine:3.20", "docker", "docker.io", "library/alpine", "3.20", None),
        ("docker://docker.io/alpine", "docker", "docker.io", "library/alpine", "latest", None),
        ("docker://index.docker.io/bids/base", "docker", "docker.io", "bids/base", "latest", None),
        ("docker://bids/base_validator:1", "docker", "docker.io", "bids/base_validator", "1", None),
        (f"docker://ghcr.io/a/b/c@{DIGEST}", "docker", "ghcr.io", "a/b/c", None, DIGEST),
        (f"docker://ghcr.io/a/b:tag@{DIGEST}", "docker", "ghcr.io", "a/b", None, DIGEST),
        ("docker://localhost/a:1", "docker", "localhost", "a", "1", None),
        ("docker://127.0.0.1:5000/a", "docker", "127.0.0.1:5000", "a", "latest", None),
        ("oras://Registry.example.org:443/t/fsl:6", "oras", "registry.example.org:443", "t/fsl", "6", None),
        ("library://user/collection/image:1.0", "library", "library.sylabs.io", "user/collection/image", "1.0", None),
        ("library://alpine", "library", "library.sylabs.io", "library/default/alpine", "latest", None),
        ("library://lib.example.org/u/c/i:2", "library", "lib.example.org", "u/c/i", "2", None),
        ("https://example.org/a%20b.sif?x=1", "https", "example.org", "a%20b.sif?x=1", None, None),
        ("http://example.org:80/a.sif", "http", "example.org:80", "a.sif", None, None),
        ("s3://bucket/a/b.sif", "s3", "bucket", "a/b.sif", None, None),
        ("azure://container/a.sif", "azure", "container", "a.sif", None, None),
        ("swift://container/a.sif", "swift", "container", "a.sif", None, None),
        ("store://images/a.sif", "store", "images", "a.sif", None, None),
        ("file:///images/a.sif", "file", "", "/images/a.sif", None, None),
        ("file:/images/a.sif", "file", "", "/images/a.sif", None, None),
        ("/images/a.sif", "path", "", "/images/a.sif", None, None),
        (
            "cvmfs:///neuro.example.org/a.sif",
            "cvmfs",
            "neuro.example.org",
            "/cvmfs/neuro.example.org/a.sif",
            None,
            None,
        ),
        (
            "cvmfs:/cvmfs/neuro.example.org/a.sif",
            "cvmfs",
            "neuro.example.org",
            "/cvmfs/neuro.example.org/a.sif",
            None,
            None,
        ),
        ("built:tool", "built", "", "tool", None, None),
    ],
)
def test_a_reference_is_taken_apart(
    text: str, scheme: str, host: str, name: str, tag: str | None, digest: str | None
) -> None:
    found = ImageReference.parse(text)
    assert (found.scheme, found.host, found.name, found.tag, found.digest) == (scheme, host, name, tag, digest)
    assert found.text == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be one of"),
        ("docker://a b", "without spaces"),
        ('https://x/"', "without spaces, quotes"),
        ("alpine:3", "must say where it comes from, such as docker://alpine:3"),
        ("ubuntu", "such as docker://ubuntu"),
        ("shub://vsoch/hello", "was closed in 2021"),
        ("ftp://example.org/a.sif", "is not an image reference that this gateway can fetch"),
        ("docker:alpine", "must be such as docker://"),
        ("docker://", "must be such as docker://"),
        ("docker://UPPER/case", "lower case"),
        ("docker://a/../b", "name that cannot be one"),
        ("docker://a:bad/tag:x", "registry that cannot be one"),
        ("docker://user:secret@ghcr.io/a", "digest such as"),
        ("docker://a@sha512:" + "a" * 64, "digest such as"),
        ("docker://a@sha256:" + "A" * 64, "digest such as"),
        ("docker://a:-x", "tag that cannot be one"),
        ("oras://name:1", "must name its registry"),
        ("library://a/b/c/d/e", "must be such as library://"),
        ("library://a/../c", "must be such as library://"),
        ("https://user:secret@example.org/a.sif", "without a user name"),
        ("https://example.org", "must be an address"),
        ("s3://bucket", "such as s3://bucket/folder"),
        ("s3://bucket/a/../b", "without '..'"),
        ("s3://bucket/a:b", "characters"),
        ("azure://con tainer/a", "without spaces"),
        ("file://host/a.sif", "a file of the target"),
        ("file:///a/../b", "without '..'"),
        ("/a/../b", "without '..'"),
        ("/folder/", "must name a file"),
        ("cvmfs:///repository", "must be such as cvmfs:///"),
        ("built:a/b", "built: and the name"),
        ("docker://" + "a" * 3000, "must be one of"),
    ],
)
def test_what_is_no_reference_is_refused_with_what_works(text: str, words: str) -> None:
    with pytest.raises(BadReference, match=words.replace("[", r"\[")):
        ImageReference.parse(text)


def test_two_ways_to_write_one_image_have_one_form() -> None:
    forms = {
        ImageReference.parse(text).plain
        for text in ("docker://alpine", "docker://library/alpine:latest", "docker://index.docker.io/alpine:latest")
    }
    assert forms == {"docker://docker.io/library/alpine:latest"}
    assert ImageReference.parse("docker://alpine").pinned(DIGEST) == f"docker://docker.io/library/alpine@{DIGEST}"
