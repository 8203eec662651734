"""Any remote of rclone that an administrator configured; run by the gateway's own rclone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from gateway.compute.transport.base import RcloneRemote
from gateway.errors import GatewayError, NotFound, StoreError
from gateway.model.job import Probe
from gateway.storage.content_types import DEFAULT
from gateway.storage.names import clean_path
from gateway.storage.rclone import Rclone, address
from gateway.storage.rclone_library import RcloneLibrary
from gateway.storage.stores.base import Place, Store, StoreContext, StoredObject, StoreSettings
from gateway.storage.stores.headers import metadata_value
from gateway.storage.stores.rclone_archive import LIFETIME_DAYS, read_status, refused
from gateway.storage.stores.rclone_settings import RcloneSettings

PIECE = 4 * 1024 * 1024
_NAME = "STORE"
_QUICK = ("--low-level-retries", "1")
_LIST_TIMEOUT, _TIMEOUT = 3600.0, 60.0
# Names that S3 itself would take, but some services, and XML, would not.
_S3_ENCODING = "Slash,BackSlash,Del,Ctl,InvalidUtf8,Dot"


class RcloneStore(Store):
    """A remote of rclone.

    `annotate` does nothing: most remotes can only write metadata with the whole object again. Content types are
    set at upload; on S3 so are ``job``, ``case`` and ``owner``. `signed_url` exists on S3 only: elsewhere
    ``rclone link`` would make a file public.
    """

    kind: ClassVar[str] = "rclone"
    Settings: ClassVar[type[StoreSettings]] = RcloneSettings

    def __init__(self, settings: StoreSettings, context: StoreContext) -> None:
        super().__init__(settings, context)
        assert isinstance(settings, RcloneSettings)
        self._settings = settings
        self._s3 = settings.backend == "s3"
        self._rclone = Rclone()
        self._library = RcloneLibrary(lambda: self._rclone.binary, context.data)
        self._secrets = {key: secret.reveal() for key, secret in settings.secrets.items()}
        self._known: dict[str, str] | None = None

    # --- places

    async def _options(self) -> dict[str, str]:
        """All options of the remote; passwords in rclone's obscured form."""
        if self._known is None:
            passwords = await self._password_options()
            options = {**self._settings.plain_options(), **self._secrets}
            if self._s3:
                options.setdefault("encoding", _S3_ENCODING)
            for key in passwords & self._secrets.keys():
                result = await self._rclone.run(["obscure", "-"], data=self._secrets[key].encode(), timeout=_TIMEOUT)
                if result.exit_status:
                    raise StoreError(f"store {self.name}: rclone does not take {key}")
                options[key] = result.stdout.decode().strip()
            self._known = options
        return self._known

    async def _password_options(self) -> set[str]:
        """Names of the backend's options that rclone wants obscured; says so where it has no such backend."""
        result = await self._rclone.run(["config", "providers"], timeout=_TIMEOUT)
        if result.exit_status:
            raise result.error(f"store {self.name}: asking rclone for its backends")
        for provider in json.loads(result.stdout):
            if self._settings.backend in (provider["Name"], *(provider.get("Aliases") or ())):
                return {option["Name"] for option in provider["Options"] if option["IsPassword"]}
        raise StoreError(f"store {self.name}: this rclone has no backend {self._settings.backend!r}")

    async def _place(self, place: Place) -> RcloneRemote:
        below = clean_path(place.prefix)
        return RcloneRemote(await self._options(), f"{self._settings.root.rstrip('/')}/{below}", self._arguments(place))

    def _arguments(self, place: Place) -> tuple[str, ...]:
        if not self._s3:
            return ()
        found = ["--s3-no-check-bucket"]
        if "storage_class" not in self._settings.remote:
            found += ["--s3-storage-class", "STANDARD"]
        for key, value in (("job", place.job_id), ("case", place.case), ("owner", place.owner)):
            if value:
                found += ["--header-upload", f"x-amz-meta-{key}: {metadata_value(value)}"]
        found += ["--header-upload", "Content-Disposition: attachment"]
        return tuple(found)

    async def _address(self, place: Place, path: str) -> tuple[RcloneRemote, str]:
        remote = await self._place(place)
        return remote, address(_NAME, remote, clean_path(path))

    # --- Store

    async def probe(self) -> list[Probe]:
        """See `Store.probe`."""
        place = Place(".gateway-probe", "")
        fix = "check remote, secrets and root, and that this machine reaches the service"
        try:
            version = await self._library.version()
            await self.write(place, "probe", b"probe", "text/plain")
            read = b"".join([piece async for piece in self.read(place, "probe")])
            rows = await self._library.top(await self._place(place))
            await self.purge(place)
        except GatewayError as error:
            return [Probe(name="store", status="failed", detail=error.message, fix=error.hint or fix)]
        if read != b"probe" or [row.get("Name") for row in rows] != ["probe"]:
            detail = "what was written reads back as something else"
            return [Probe(name="store", status="failed", detail=detail, fix=fix)]
        detail = f"{self._settings.backend} remote can be written, listed and read (rclone {version})"
        return [Probe(name="store", status="ok", detail=detail)]

    async def prepare(self, place: Place) -> None:
        """See `Store.prepare`. On S3 there are no folders, and buckets are the administrator's."""
        if not self._s3:
            await self._library.make(await self._place(place))

    async def push_remote(self, place: Place, valid_for: timedelta, *, target: str) -> RcloneRemote | None:
        """Hand the configured secrets to the node where the administrator chose ``transfer = "push"``.

        They are not short-lived: rclone has no general way to make such ones. ``auto`` therefore relays.
        """
        return await self._place(place) if self.settings.transfer == "push" else None

    async def relay_remote(self, place: Place) -> RcloneRemote:
        """See `Store.relay_remote`."""
        return await self._place(place)

    async def list(self, place: Place, prefix: str = "") -> AsyncIterator[StoredObject]:
        """See `Store.list`. Times are the service's own where others would cost a request for each object."""
        remote = await self._place(place)
        folder, slash, last = prefix.rpartition("/")
        where = address(_NAME, remote, clean_path(folder, empty=not slash), folder=True)
        async for found in self._listed(remote, where, folder + slash, last):
            yield found

    async def everything(self) -> AsyncIterator[StoredObject]:
        """See `Store.everything`."""
        remote = RcloneRemote(await self._options(), self._settings.root.rstrip("/"))
        async for found in self._listed(remote, address(_NAME, remote, folder=True), "", ""):
            yield found

    async def _listed(self, remote: RcloneRemote, where: str, head: str, last: str) -> AsyncIterator[StoredObject]:
        """Yield what is below an address and begins with `last`; names get `head` before them."""
        options = ["--files-only", "--no-mimetype", "--use-server-modtime", "--fast-list", *_QUICK]
        options += ["--hash", "--hash-type", "md5"] if self._s3 else []
        rest = b""
        try:
            rows = self._rclone.stream(["lsjson", "-R", *options, where], {_NAME: remote}, what=self._what("listing"))
            async for chunk in rows:
                *lines, rest = (rest + chunk).split(b"\n")
                for row in _rows(lines):
                    if str(row["Path"]).startswith(last):
                        yield _stored(head + row["Path"], row)
        except NotFound:
            return

    async def stat(self, place: Place, path: str) -> StoredObject | None:
        """See `Store.stat`."""
        remote, where = await self._address(place, path)
        options = ["--stat", *_QUICK, *(("--hash", "--hash-type", "md5") if self._s3 else ())]
        result = await self._rclone.run(["lsjson", *options, where], {_NAME: remote}, timeout=_TIMEOUT)
        if result.exit_status:
            error = result.error(self._what(f"looking at {path!a}"))
            if isinstance(error, NotFound):
                return None
            raise error
        row = json.loads(result.stdout or b"null")
        return _stored(path, row) if row and not row.get("IsDir") else None

    async def read(self, place: Place, path: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """See `Store.read`."""
        found = await self.stat(place, path)  # `rclone cat` of a folder's name would print all its files
        if found is None:
            raise NotFound(f"store {self.name}: there is no file {path!a}")
        rest = max(found.size - offset, 0)
        count = rest if length is None else min(length, rest)
        if count == 0:
            return
        remote, where = await self._address(place, path)
        arguments = ["cat", "--offset", str(offset), "--count", str(count), *_QUICK, where]
        got = 0
        async for chunk in self._rclone.stream(arguments, {_NAME: remote}, what=self._what(f"reading {path!a}")):
            got += len(chunk)
            yield chunk
        if got != count:
            raise StoreError(f"store {self.name}: {path!a} changed or ended while it was read")

    async def write(self, place: Place, path: str, data: bytes, content_type: str) -> None:
        """See `Store.write`."""
        remote, where = await self._address(place, path)
        headers = ["--header-upload", f"Content-Type: {content_type or DEFAULT}"] if self._s3 else []
        arguments = ["rcat", "--size", str(len(data)), *remote.arguments, *headers, *_QUICK, where]
        result = await self._rclone.run(arguments, {_NAME: remote}, data=data, timeout=_TIMEOUT)
        if result.exit_status:
            raise result.error(self._what(f"writing {path!a}"))

    async def annotate(
        self,
        place: Place,
        path: str,
        content_type: str | None,
        metadata: Mapping[str, str],
        known: StoredObject | None = None,
    ) -> None:
        """Do nothing: see the class."""

    async def signed_url(
        self,
        place: Place,
        path: str,
        valid_for: timedelta,
        download_name: str,
    ) -> str | None:
        """See `Store.signed_url`. ``rclone link`` cannot add a name to save under."""
        if not self._s3:
            return None
        remote, where = await self._address(place, path)
        expire = f"{max(int(valid_for.total_seconds()), 1)}s"
        result = await self._rclone.run(["link", "--expire", expire, *_QUICK, where], {_NAME: remote}, timeout=_TIMEOUT)
        if result.exit_status:
            raise result.error(self._what(f"signing the address of {path!a}"))
        url = result.stdout.decode().strip()
        return url if url.startswith(("https://", "http://")) else None

    async def remove(self, place: Place, paths: Sequence[str]) -> None:
        """See `Store.remove`."""
        await self._each("delete", place, paths, "removing")

    @property
    def archive_tier(self) -> str | None:
        """As configured; on AWS the storage class for what is hardly read. Other services of S3's kind have none."""
        aws = self._s3 and self._settings.remote.get("provider") == "AWS"
        return self._settings.archive_tier or ("GLACIER" if aws else None)

    async def archive(self, place: Place, paths: Sequence[str], tier: str) -> None:
        """See `Store.archive`. `tier` is one of the service's own, such as S3's storage classes."""
        if self.archive_tier is None:
            await super().archive(place, paths, tier)
        await self._each("settier", place, paths, "archiving", tier)

    async def restore(self, place: Place, paths: Sequence[str], *, urgent: bool) -> None:
        """See `Store.restore`: of S3. A copy comes back for some days; `restored` then makes it stay."""
        if self.archive_tier is None or not self._s3:
            raise StoreError(
                f"store {self.name}: objects of this service cannot be brought back from here",
                hint="use the service's own tools",
            )
        priority = "Expedited" if urgent else "Standard"
        words = ("restore", "-o", f"priority={priority}", "-o", f"lifetime={LIFETIME_DAYS}")
        if problems := refused(await self._each("backend", place, paths, "restoring", *words)):
            raise StoreError(self._what(f"restoring: {problems[0]} ({len(problems)} of {len(paths)} objects)"))

    async def restored(self, place: Place, paths: Sequence[str]) -> set[str]:
        """See `Store.restored`."""
        remote = await self._place(place)
        arguments = ["backend", "restore-status", "-o", "all", address(_NAME, remote, folder=True)]
        result = await self._rclone.run(arguments, {_NAME: remote}, timeout=_LIST_TIMEOUT)
        if result.exit_status:
            raise result.error(self._what("looking at archived objects"))
        found = read_status(result.stdout, [clean_path(path) for path in paths])
        if found.forgotten:
            await self.restore(place, sorted(found.forgotten), urgent=False)
        if found.copied:
            await self._each("settier", place, sorted(found.copied), "restoring", "STANDARD")
        return set(found.open | found.copied)

    async def _each(self, verb: str, place: Place, paths: Sequence[str], what: str, *words: str) -> bytes:
        """Carry out a command of rclone for named files, and return what it printed; what is not there is left out.

        Not all of its commands end with a status when something failed: what they said counts as well.
        """
        remote = await self._place(place)
        names = [clean_path(path) for path in paths]
        where = address(_NAME, remote, folder=True)
        data = "".join(f"{name}\n" for name in names).encode()
        arguments = [verb, *words, "--files-from-raw", "-", "--no-traverse", "--low-level-retries", "3", where]
        result = await self._rclone.run(arguments, {_NAME: remote}, data=data, timeout=_LIST_TIMEOUT)
        said = any(message.level in ("error", "critical") for message in result.messages)
        if result.exit_status or said:
            error = replace(result, exit_status=result.exit_status or 1).error(self._what(what))
            if not isinstance(error, NotFound):
                raise error
        return result.stdout

    async def purge(self, place: Place) -> None:
        """See `Store.purge`."""
        remote = await self._place(place)
        where = address(_NAME, remote, folder=True)
        result = await self._rclone.run(["purge", *_QUICK, where], {_NAME: remote}, timeout=_LIST_TIMEOUT)
        if result.exit_status:
            error = result.error(self._what("removing"))
            if not isinstance(error, NotFound):
                raise error

    async def close(self) -> None:
        """See `Store.close`."""
        self._library.close()

    def _what(self, text: str) -> str:
        return f"store {self.name}: {text}"


def _rows(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """Return what lines of lsjson's array say, its brackets left out. Together they are read faster than each alone."""
    texts = (line.strip().removesuffix(b",") for line in lines)
    rows: list[dict[str, Any]] = json.loads(b"[%s]" % b",".join(text for text in texts if text.startswith(b"{")))
    return rows


def _stored(path: str, row: Mapping[str, Any]) -> StoredObject:
    modified = row.get("ModTime")
    return StoredObject(
        path,
        max(int(row.get("Size", 0)), 0),
        datetime.fromisoformat(modified) if modified else None,
        row.get("MimeType"),
        (row.get("Hashes") or {}).get("md5"),
    )
