"""What nodes and browsers get of an Azure account: signatures that end, and can be ended before. Blocking."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.storage.blob import (
    AccessPolicy,
    BlobSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    UserDelegationKey,
    generate_blob_sas,
    generate_container_sas,
)

from gateway.storage.stores.headers import attachment

_CLOCK_SKEW = timedelta(minutes=10)
_LONGEST_KEY = timedelta(days=7)
"""A user delegation key lives no longer, and neither does what it signed."""
_POLICY = "push-"
_MOST_POLICIES = 5
_TOKEN_SLACK = 300
PUSH = ContainerSasPermissions(read=True, create=True, write=True, list=True, tag=True)
"""What a node may do in a container: not delete, and not change who may do what."""


class PrincipalCredential:
    """An application of Microsoft Entra, as azure-core's clients ask for its tokens.

    Parameters
    ----------
    authority
        Where tokens are asked for.
    secret
        Reveals the application's secret; asked anew for each token, so that it can be changed.
    """

    def __init__(self, authority: str, tenant_id: str, client_id: str, secret: Callable[[], str]) -> None:
        self._url = f"{authority.rstrip('/')}/{tenant_id}/oauth2/v2.0/token"
        self._client_id = client_id
        self._secret = secret
        self._tokens: dict[str, AccessToken] = {}
        self._lock = threading.Lock()

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        """Return a token for these scopes, the one from before as long as it is good.

        Raises
        ------
        ClientAuthenticationError, ServiceRequestError
            There is none to be had. The text has the service's own code, and no secret.
        """
        scope = " ".join(scopes)
        with self._lock:
            known = self._tokens.get(scope)
            now = int(datetime.now(UTC).timestamp())
            if known is None or known.expires_on - _TOKEN_SLACK < now:
                known = self._tokens[scope] = self._ask(scope, now)
            return known

    def _ask(self, scope: str, now: int) -> AccessToken:
        form = {"grant_type": "client_credentials", "client_id": self._client_id, "scope": scope}
        form["client_secret"] = self._secret()
        try:
            answer = httpx.post(self._url, data=form, timeout=30, follow_redirects=False)
        except httpx.HTTPError as error:
            raise ServiceRequestError(f"no token could be asked for: {type(error).__name__}") from None
        try:
            found = answer.json()
            if answer.status_code == 200:
                return AccessToken(str(found["access_token"]), now + int(found["expires_in"]))
            told = f"{found.get('error', '')} {found.get('error_description', '')}"
        except (ValueError, KeyError, TypeError, AttributeError):
            told = ""
        codes = " ".join(re.findall(r"AADSTS\d{1,9}|\A[a-z_]{1,40}", told)) or f"status {answer.status_code}"
        raise ClientAuthenticationError(f"the sign-in service gave no token: {codes}")


class Access:
    """Signs for an account: with its key, or with a key that the service lends to an application.

    Parameters
    ----------
    key
        The account's; None where `service` signs in as an application.
    """

    def __init__(self, service: BlobServiceClient, key: str | None) -> None:
        self.service = service
        self._key = key
        self._lent: tuple[UserDelegationKey, datetime] | None = None
        self._lock = threading.Lock()

    @property
    def account(self) -> str:
        """The account's name."""
        return self.service.account_name or ""

    @property
    def has_policies(self) -> bool:
        """Whether signatures can be ended by their policy: not those that a lent key makes."""
        return self._key is not None

    def container(self, container: str, valid_for: timedelta) -> str:
        """Return a signature for a node's or the gateway's own rclone."""
        signing, start, expiry = self._signing(valid_for)
        return generate_container_sas(self.account, container, permission=PUSH, start=start, expiry=expiry, **signing)

    def blob(self, container: str, name: str, valid_for: timedelta, download_name: str) -> str:
        """Return a signature that reads one blob, which browsers then save and never show."""
        signing, start, expiry = self._signing(valid_for)
        return generate_blob_sas(
            self.account,
            container,
            name,
            permission=BlobSasPermissions(read=True),
            start=start,
            expiry=expiry,
            content_disposition=attachment(download_name),
            **signing,
        )

    def by_policy(self, container: str, valid_for: timedelta) -> str:
        """Return a signature that `end_policies` ends. Asking again makes the one from before last longer, too."""
        client = self.service.get_container_client(container)
        found = {item.id: item.access_policy for item in client.get_container_access_policy()["signed_identifiers"]}
        name = next((name for name in found if name.startswith(_POLICY)), None)
        now = datetime.now(UTC)
        if name is None:
            name = _POLICY + secrets.token_hex(8)
            # Signatures name their policy: one that was ended must never get its name back.
            found = dict(list(found.items())[: _MOST_POLICIES - 1])
        found[name] = AccessPolicy(permission=PUSH, expiry=now + valid_for, start=now - _CLOCK_SKEW)
        client.set_container_access_policy(found)
        return generate_container_sas(self.account, container, account_key=self._key, policy_id=name)

    def end_policies(self, container: str) -> None:
        """End all signatures of `by_policy`."""
        client = self.service.get_container_client(container)
        found = {item.id: item.access_policy for item in client.get_container_access_policy()["signed_identifiers"]}
        kept = {name: policy for name, policy in found.items() if not name.startswith(_POLICY)}
        if kept != found:
            client.set_container_access_policy(kept)

    def knows_tags(self) -> bool:
        """Say whether the account has index tags; no where it does not tell its kind."""
        try:
            found = self.service.get_account_information()
        except HttpResponseError:
            return False
        kind = str(getattr(found.get("account_kind"), "value", found.get("account_kind")))
        return kind.endswith("StorageV2") and not found.get("is_hns_enabled")

    def _signing(self, valid_for: timedelta) -> tuple[dict[str, Any], datetime, datetime]:
        """Return what signs, and from when to when the signature is good."""
        now = datetime.now(UTC)
        start, expiry = now - _CLOCK_SKEW, now + valid_for
        if self._key is not None:
            return {"account_key": self._key}, start, expiry
        expiry = min(expiry, now + _LONGEST_KEY - 2 * _CLOCK_SKEW)
        with self._lock:
            if self._lent is None or self._lent[1] < expiry:
                until = min(now + _LONGEST_KEY - _CLOCK_SKEW, expiry + timedelta(days=1))
                self._lent = self.service.get_user_delegation_key(start, until), until
            return {"user_delegation_key": self._lent[0]}, start, expiry
