"""The settings of an ``azure`` store, its client, and what the SDK's errors mean."""

from __future__ import annotations

import re
from typing import Any

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import BlobServiceClient, ExponentialRetry
from pydantic import Field, field_validator, model_validator

from gateway.errors import ConfigurationError, NotFound, StoreError, StoreUnreachable
from gateway.model.base import Model
from gateway.settings import Secret
from gateway.storage.rclone import scrub
from gateway.storage.stores.base import StoreSettings

PIECE = 4 * 1024 * 1024
"""Bytes read at a time."""


class ServicePrincipal(Model):
    """An application of Microsoft Entra."""

    tenant_id: str
    client_id: str
    client_secret: Secret


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
        if self.service_principal is not None:
            raise ValueError("service_principal is not there yet; use account_key or connection_string")
        return self


class AzureSettings(StoreSettings):
    """Section of a store of kind ``azure``.

    Attributes
    ----------
    account_url
        ``https://<account>.blob.core.windows.net``; may be left out where a connection string names it.
    container
        Container of the layout ``prefix``. In the layout ``container`` each job has one, named by its id.
    """

    account_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#@]+$")
    container: str | None = None
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
        return self


def connect(settings: AzureSettings) -> tuple[BlobServiceClient, str]:
    """Return the account's client and its key, which signs what nodes and browsers get.

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
    return service, found


def translated(error: AzureError, what: str) -> StoreError | NotFound:
    """Return the SDK's error as the gateway's; the text names the service's own code, and no signature."""
    if isinstance(error, ResourceNotFoundError):
        return NotFound(f"{what}: there is no such thing")
    if isinstance(error, HttpResponseError) and error.status_code:
        code = getattr(error, "error_code", None) or error.reason
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
