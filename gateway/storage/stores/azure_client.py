"""The settings of an ``azure`` store, its client, and what the SDK's errors mean."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import BlobServiceClient, ExponentialRetry
from pydantic import Field, StringConstraints, field_validator, model_validator

from gateway.errors import ConfigurationError, NotFound, ObjectArchived, StoreError, StoreUnreachable
from gateway.model.base import Model
from gateway.settings import Secret
from gateway.storage.rclone import ASK_FIRST, scrub
from gateway.storage.stores.azure_access import Access, PrincipalCredential
from gateway.storage.stores.base import StoreSettings

PIECE = 4 * 1024 * 1024
"""Bytes read at a time."""


_Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,127}$")]


class ServicePrincipal(Model):
    """An application of Microsoft Entra, with the roles Storage Blob Data Contributor and Storage Blob Delegator.

    Attributes
    ----------
    authority
        Where it signs in; another one in national clouds.
    """

    tenant_id: _Id
    client_id: _Id
    client_secret: Secret
    authority: str = "https://login.microsoftonline.com"

    @field_validator("authority")
    @classmethod
    def _protected(cls, value: str) -> str:
        if not re.fullmatch(r"https://[A-Za-z0-9.-]+(:\d+)?/?|http://127\.0\.0\.1:\d+/?", value):
            raise ValueError("is the https address of a sign-in service, without a path")
        return value


class AzureCredential(Model):
    """How the gateway itself signs in: exactly one of these."""

    account_key: Secret | None = None
    connection_string: Secret | None = None
    service_principal: ServicePrincipal | None = None

    @model_validator(mode="after")
    def _one(self) -> AzureCredential:
        given = [self.account_key, self.connection_string, self.service_principal]
        if sum(item is not None for item in given) != 1:
            raise ValueError("needs exactly one of account_key, connection_string, service_principal")
        return self


class AzureSettings(StoreSettings):
    """Section of a store of kind ``azure``.

    Attributes
    ----------
    account_url
        ``https://<account>.blob.core.windows.net``; may be left out where a connection string names it.
    container
        Container of the layout ``prefix``. In the layout ``container`` each job has one, named by its id.
    index_tags
        Whether blobs get index tags (``job``, ``case``, ``owner``). Accounts with a hierarchical namespace have none.
    """

    account_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#@]+$")
    container: str | None = None
    index_tags: bool | Literal["auto"] = "auto"
    credential: AzureCredential

    @field_validator("container")
    @classmethod
    def _container_name(cls, value: str | None) -> str | None:
        if value is not None and not (re.fullmatch(r"[a-z0-9](?:-?[a-z0-9])*", value) and 3 <= len(value) <= 63):
            raise ValueError("a container's name is 3 to 63 lower-case letters, digits and single hyphens")
        return value

    @model_validator(mode="after")
    def _whole(self) -> AzureSettings:
        if self.layout == "prefix" and self.container is None:
            raise ValueError("the layout prefix needs a container")
        if self.account_url is None and self.credential.connection_string is None:
            raise ValueError("needs account_url")
        if self.credential.service_principal and not (self.account_url or "").startswith("https://"):
            raise ValueError("a service principal needs an account_url with https: its tokens must not be overheard")
        return self


def connect(settings: AzureSettings) -> Access:
    """Return the account's client with what signs for nodes and browsers.

    A store that is down answers within seconds: few retries, short pauses.

    Raises
    ------
    ConfigurationError
        A secret is not there or not one.
    """
    options: dict[str, Any] = {
        "retry_policy": ExponentialRetry(initial_backoff=0, increment_base=1, retry_total=2, random_jitter_range=1),
        "connection_timeout": 5,
        "read_timeout": 60,
        "max_single_get_size": PIECE,
        "max_chunk_get_size": PIECE,
        "logging_enable": False,
    }
    credential = settings.credential
    try:
        if credential.connection_string is not None:
            text = credential.connection_string.reveal()
            service = BlobServiceClient.from_connection_string(text, **options)
        elif (application := credential.service_principal) is not None:
            assert settings.account_url is not None
            secret = application.client_secret.reveal
            secret()
            token = PrincipalCredential(application.authority, application.tenant_id, application.client_id, secret)
            return Access(BlobServiceClient(settings.account_url, credential=token, **options), None)
        else:
            assert credential.account_key is not None
            assert settings.account_url is not None
            key = credential.account_key.reveal()
            service = BlobServiceClient(settings.account_url, credential=key, **options)
    except (ValueError, AttributeError):
        raise ConfigurationError("the account's URL or connection string is not one") from None
    found = getattr(service.credential, "account_key", None)
    if not found or not service.account_name:
        raise ConfigurationError(
            "the gateway needs the account's name and key to make short-lived signatures",
            hint="give account_key, or a connection string with AccountKey",
        )
    return Access(service, found)


def translated(error: AzureError, what: str) -> StoreError | NotFound:
    """Return the SDK's error as the gateway's; the text names the service's own code, and no signature."""
    if isinstance(error, ResourceNotFoundError):
        return NotFound(f"{what}: there is no such thing")
    if isinstance(error, HttpResponseError) and error.status_code:
        code = getattr(error, "error_code", None) or error.reason
        if getattr(code, "value", code) in ("BlobArchived", "BlobBeingRehydrated"):
            return ObjectArchived(what, hint=ASK_FIRST)
        text = f"{what}: the service answered {error.status_code} {getattr(code, 'value', code)}"
        busy = error.status_code in (429, 500, 502, 503, 504)
        return StoreUnreachable(text) if busy else StoreError(text)
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return StoreUnreachable(f"{what}: {_cause(error)}")
    return StoreError(f"{what}: {_cause(error)}")


def _cause(error: AzureError) -> str:
    text = scrub(" ".join(str(error.message).split()))
    text = re.sub(r"0x[0-9a-f]+|<[^>]*object at[^>]*>:?", "", text)
    return text[:300] or type(error).__name__
