"""The content type of an output by its name. Pure."""

from __future__ import annotations

import mimetypes

DEFAULT = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"

# What simulations leave behind and the system's tables do not know. Never a type that a browser would run.
_BY_SUFFIX = {
    "vtk": "application/vnd.vtk",
    "vti": "application/vnd.vtk",
    "vtp": "application/vnd.vtk",
    "vtu": "application/vnd.vtk",
    "vts": "application/vnd.vtk",
    "vtr": "application/vnd.vtk",
    "vtm": "application/vnd.vtk",
    "pvtu": "application/vnd.vtk",
    "pvd": "application/vnd.vtk",
    "foam": TEXT,
    "log": TEXT,
    "out": TEXT,
    "err": TEXT,
    "dat": TEXT,
    "cfg": TEXT,
    "ini": TEXT,
    "toml": "application/toml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "md": "text/markdown; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "jsonl": "application/jsonl",
    "h5": "application/x-hdf5",
    "hdf5": "application/x-hdf5",
    "nc": "application/x-netcdf",
    "cgns": "application/x-hdf5",
    "xdmf": "application/xml",
    "npy": DEFAULT,
    "npz": "application/zip",
    "nii": "application/x-nifti",
    "stl": "model/stl",
    "msh": "model/mesh",
    "parquet": "application/vnd.apache.parquet",
    "sif": DEFAULT,
}
_TABLE = mimetypes.MimeTypes()  # the built-in table only: not what happens to be installed on this machine


def guess(path: str) -> str:
    """Return the content type of a file called `path`; `DEFAULT` where its name says nothing."""
    name = path.rsplit("/", 1)[-1].lower()
    if name.startswith("log.") or name in ("log", "readme", "makefile"):
        return TEXT
    suffix = name.rsplit(".", 1)[-1] if "." in name.lstrip(".") else ""
    if known := _BY_SUFFIX.get(suffix):
        return known
    found, encoding = _TABLE.guess_type(f"x.{suffix}") if suffix else (None, None)
    if encoding:
        return {"gzip": "application/gzip"}.get(encoding, DEFAULT)
    return found or DEFAULT
