"""What of a run is kept out of its record: signatures in addresses, and variables and values that are secrets. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from gateway.model.pointers import pointer

HIDDEN = "(hidden)"
"""Stands where something was."""
_SECRET_NAME = re.compile(
    r"secret|token|passw|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|account[_-]?key|credential|"
    r"connection[_-]?string|authorization",
    re.IGNORECASE,
)
_SIGNED = re.compile(
    r"(?:^|[&;])(?:sig|signature|x-amz-[a-z-]+|x-goog-[a-z-]+|token|access_token|auth|authorization|key|api_?key|"
    r"awsaccesskeyid|secret|password|policy|key-pair-id|code)=",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"https?://[^\s'\"<>]+", re.IGNORECASE)
SHORTEST = 4
"""Characters of a secret that is looked for in texts: shorter ones stand everywhere."""


def plain_address(url: str) -> str:
    """Return a URL without what opens it: user name, password, and a query that holds a signature or key."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    place = parts.netloc.rpartition("@")[2]
    query = "" if _SIGNED.search(parts.query) else parts.query
    fragment = "" if _SIGNED.search(parts.fragment) else parts.fragment
    return urlunsplit((parts.scheme, place, parts.path, query, fragment))


def is_signed(url: str) -> bool:
    """Say whether a URL holds something that opens it."""
    return plain_address(url) != url


def plain_text(text: str) -> str:
    """Return a text whose addresses are plain."""
    return _ADDRESS.sub(lambda found: plain_address(found[0]), text)


class Hiding:
    """Takes the secrets of one run out of documents and texts about it.

    Parameters
    ----------
    documents
        Its specification and its request.

    Attributes
    ----------
    places
        JSON pointers of what was hidden, in the order in which it was found.
    """

    def __init__(self, *documents: Mapping[str, Any]) -> None:
        self.places: list[str] = []
        self._secrets: set[str] = set()
        for document in documents:
            for name in ("env", "values"):
                for key, value in (document.get(name) or {}).items():
                    if _SECRET_NAME.search(key) and isinstance(value, str):
                        self.also(value)

    def also(self, secret: str | None) -> None:
        """Hide a text that stands in no specification, such as the token of a run."""
        if secret:
            self._secrets |= {secret, *secret.splitlines()}  # a script has the lines of a key apart

    def document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return a specification or request without secrets."""
        made: dict[str, Any] = self._clean(dict(document), ())
        return made

    def _clean(self, value: Any, place: tuple[str | int, ...]) -> Any:
        if isinstance(value, dict):
            return {key: self._field(key, item, (*place, key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(item, (*place, number)) for number, item in enumerate(value)]
        if isinstance(value, str):
            cleaned = self.text(value)
            if cleaned != value:
                self._note(place)
            return cleaned
        return value

    def _field(self, key: str, value: Any, place: tuple[str | int, ...]) -> Any:
        if len(place) == 2 and place[0] in ("env", "values") and _SECRET_NAME.search(key) and isinstance(value, str):
            self._note(place)
            return HIDDEN
        return self._clean(value, place)

    def _note(self, place: tuple[str | int, ...]) -> None:
        if (where := pointer(list(place))) not in self.places:
            self.places.append(where)

    def text(self, text: str) -> str:
        """Return a text without secrets, in whichever form a script or an address has them."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            if len(secret) < SHORTEST:
                continue
            for form in (shlex.quote(secret), secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
                text = text.replace(form, HIDDEN)
        return plain_text(text)

    def content(self, content: bytes) -> bytes:
        """Return a record without secrets; bytes that are no text stay as they are."""
        return self.text(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
