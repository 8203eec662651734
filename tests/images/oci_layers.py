"""Layers of OCI images, made by hand: also such as no honest program makes."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Layer:
    """One layer, in the order in which its members are added."""

    members: list[tuple[tarfile.TarInfo, bytes | None]] = field(default_factory=list)

    def file(self, name: str, content: bytes | str = b"", mode: int = 0o644) -> Layer:
        data = content.encode() if isinstance(content, str) else content
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), mode
        self.members.append((info, data))
        return self

    def folder(self, name: str, mode: int = 0o755) -> Layer:
        return self._add(name, tarfile.DIRTYPE, mode)

    def link(self, name: str, target: str) -> Layer:
        return self._add(name, tarfile.SYMTYPE, 0o777, target)

    def hard(self, name: str, target: str) -> Layer:
        return self._add(name, tarfile.LNKTYPE, 0o644, target)

    def device(self, name: str) -> Layer:
        return self._add(name, tarfile.CHRTYPE, 0o666)

    def _add(self, name: str, kind: bytes, mode: int, target: str = "") -> Layer:
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.linkname = kind, mode, target
        self.members.append((info, None))
        return self

    def tar(self) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for info, content in self.members:
                tar.addfile(info, io.BytesIO(content) if content is not None else None)
        return stream.getvalue()

    def packed(self) -> bytes:
        return gzip.compress(self.tar(), 1, mtime=0)


def save(folder: Path, *layers: Layer | bytes) -> list[Path]:
    """Write layers to files, packed as registries have them."""
    files = []
    for number, layer in enumerate(layers):
        file = folder / f"layer-{number}"
        file.write_bytes(layer.packed() if isinstance(layer, Layer) else layer)
        files.append(file)
    return files
