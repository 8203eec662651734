"""Apptainer and Singularity."""

from gateway.compute.runtime.base import LibraryRuntime


class Apptainer(LibraryRuntime):
    """``apptainer exec`` on the image file itself."""

    kind = "apptainer"
    library_name = "runtime_apptainer.sh"


class Singularity(LibraryRuntime):
    """``singularity exec``: the same arguments under the older name."""

    kind = "singularity"
    library_name = "runtime_apptainer.sh"
