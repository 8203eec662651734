"""One build as a program of its own: ``python -m gateway.images.building RECIPE FOLDER``.

Packing an image keeps a core busy for a minute; in the gateway's own process everybody else would wait for it. It tells
what it does in lines of JSON: ``{"progress": …}``, and at the end ``{"built": …}`` or ``{"failed": …}``.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from gateway.errors import GatewayError, ImageError, MissingProgram
from gateway.images.build import BuiltImage, Progress, build_image, dies_with_parent

STOP_SECONDS = 30.0
"""After that a build that was asked to stop is killed; its children end with it."""


async def build_beside(recipe: Path, destination: Path, on_progress: Progress) -> BuiltImage:
    """Do what `build_image` does in a process of its own, which ends when this call is cancelled.

    Raises
    ------
    MissingProgram, ImageError
        As `build_image`.
    """
    return await run_beside(__name__, [str(recipe), str(destination)], on_progress)


async def run_beside(module: str, arguments: list[str], on_progress: Progress) -> BuiltImage:
    """Run a module that makes an image and tells of it as this one does; it ends when this call is cancelled.

    Raises
    ------
    MissingProgram, ImageError
        What the module says.
    """
    argv = [*dies_with_parent(), sys.executable, "-m", module, *arguments]
    child = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    verdict: dict[str, Any] = {}
    try:
        assert child.stdout is not None
        async for line in child.stdout:
            said = _read(line)
            if "progress" in said:
                on_progress(str(said["progress"]))
            verdict |= said
        status = await child.wait()
        if "failed" in verdict:
            raise _error(verdict["failed"])
        if "built" not in verdict:
            raise ImageError(f"The image could not be built: the build ended early (status {status}).")
        built = verdict["built"]
        return BuiltImage(Path(built["path"]), built["digest"], built["size"])
    finally:
        await _end(child)


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    child.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


def _read(line: bytes) -> dict[str, Any]:
    """Read a line; one that is none of ours says nothing."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _error(failed: dict[str, Any]) -> ImageError:
    kind = MissingProgram if failed.get("missing") else ImageError
    return kind(str(failed.get("message")), hint=failed.get("hint"))


def _say(**said: Any) -> None:
    print(json.dumps(said), flush=True)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    """Let the build clean up; a second signal does not disturb that."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(recipe: str, destination: str) -> int:
    """Build, telling of it on standard output. Exit status: 0, 1 failed, 130 stopped."""
    return tell(lambda progress: build_image(Path(recipe), Path(destination), progress))


def tell(make: Callable[[Progress], BuiltImage]) -> int:
    """Make an image, telling of it on standard output; returns the exit status."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        built = make(lambda sentence: _say(progress=sentence))
    except GatewayError as error:
        _say(failed={"message": error.message, "hint": error.hint, "missing": isinstance(error, MissingProgram)})
        return 1
    except OSError as error:
        _say(failed={"message": f"The image could not be built: {error}."})
        return 1
    except KeyboardInterrupt:
        return 130
    _say(built={"path": str(built.path), "digest": built.digest, "size": built.size})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
