"""The demo from beginning to end."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from gateway import templates
from gateway.cli.demo.cases import DemoCase
from gateway.cli.demo.cavity import specification
from gateway.cli.demo.image_server import serve_image
from gateway.cli.demo.places import Places, fresh
from gateway.cli.demo.screen import Screen
from gateway.cli.demo.served import served
from gateway.cli.demo.sites import configuration, site
from gateway.cli.demo.watching import Watcher
from gateway.cli.exits import Exit
from gateway.cli.output_tree import render, walk
from gateway.cli.story import verdict
from gateway.cli.text import number_of, size
from gateway.client import Gateway
from gateway.errors import GatewayError
from gateway.images.build import BuiltImage, build_image
from gateway.model.job import Job
from gateway.model.states import ENDED, OutputsState, State
from gateway.storage.signing import load_or_create_key, verify

MIRROR_PACE = 12_000_000
"""Bytes per second of the demo's mirror: over loopback a pull would be too quick to see."""
JOB_SECONDS = 170.0
CANCEL_SECONDS = 40.0
LOG_LINES = 15


def play(target: str, places: Places, screen: Screen, case: DemoCase | None = None) -> int:
    """Run the demo and return its exit status: 0 only if the job succeeded and its outputs are complete.

    Parameters
    ----------
    case
        A case to run, its image delivered by the gateway. Without one the cavity's solver is run by a specification,
        and the node pulls the image from a mirror.

    Raises
    ------
    GatewayError
        Something that the demo needs is missing or failed.
    KeyboardInterrupt
        Somebody ended it; the job is cancelled and nothing is left running.
    """
    screen.heading(f"The {case.name if case else 'cavity'} job on {_WHERE[target]}")
    with contextlib.ExitStack() as opened:
        opened.enter_context(fresh(places))
        image = _image(places, screen) if case is None else case.build(places, screen)
        screen.say("image", f"{size(image.size)}, {image.digest[:19]}…")
        if target != "local":
            screen.say("cluster", "starting sshd, munge, slurmctld and two nodes")
        section = opened.enter_context(site(target))
        places.config.write_text(configuration(places, target, section))
        # Before the mirror: a process with threads should not fork.
        gateway = opened.enter_context(served(places))
        opened.enter_context(_no_job_left(gateway, screen))
        screen.say("gateway", f"serves {gateway.url}")
        if case is None:
            assert isinstance(image, BuiltImage)
            url = opened.enter_context(serve_image(image.path, "cavity.sqfs", MIRROR_PACE))
            body = specification(target, url, image)
        else:
            body = case.request(target)
        places.specification.write_text(json.dumps(body, indent=2) + "\n")
        job, early = _run(gateway, body, screen)
        _report(gateway, places, screen, job, early)
    _again(places, gateway.url, screen, job)
    if job.state is State.SUCCEEDED and job.outputs.state is OutputsState.COMPLETE:
        return Exit.DONE
    screen.heading("Not as it should be: a good demo ends as succeeded, with outputs complete")
    return Exit.JOB_FAILED


_WHERE = {
    "local": "this machine",
    "pbs": "a cluster on this machine: over SSH, by qsub",
    "slurm": "a cluster on this machine: over SSH, by sbatch",
}


def _image(places: Places, screen: Screen) -> BuiltImage:
    recipe = templates.folder() / "cases/cavity/image/recipe.yaml"
    return build_image(recipe, places.images, lambda sentence: screen.say("image", sentence))


def _run(gateway: Gateway, body: dict[str, object], screen: Screen) -> tuple[Job, set[str]]:
    """Submit the job and watch it; return it, and the outputs that were stored while the payload ran."""
    job = gateway.submit(body).info
    screen.say("job", job.id)
    watcher = Watcher(gateway, job.id, screen)
    job = watcher.until_ended(JOB_SECONDS)
    if job.state not in ENDED:
        screen.say("job", f"not done after {JOB_SECONDS:.0f} s")
        _cancel_live(gateway, screen)
        job = gateway.job(job.id).info
    return job, watcher.early


@contextlib.contextmanager
def _no_job_left(gateway: Gateway, screen: Screen) -> Iterator[None]:
    """Cancel what still runs, however the demo ends."""
    try:
        yield
    finally:
        screen.bar_done()
        with contextlib.suppress(GatewayError, TimeoutError):
            _cancel_live(gateway, screen)


def _cancel_live(gateway: Gateway, screen: Screen) -> None:
    for job in gateway.jobs():
        if job.state not in ENDED:
            screen.say("job", f"cancelling {job.id[:8]}")
            gateway.cancel(job.id)
            screen.say("job", verdict(gateway.wait(job.id, CANCEL_SECONDS).info))


def _report(gateway: Gateway, places: Places, screen: Screen, job: Job, early: set[str]) -> None:
    if job.outputs.count:
        screen.heading(f"Outputs of {job.id}, by prefix")
        for text in render(walk(lambda prefix: gateway.outputs(job.id, prefix))):
            screen.text(text)
    screen.heading("Verdict")
    screen.text(verdict(job))
    screen.text(f"{number_of(len(early), 'output')} stood in the store while the solver was still running")
    if job.state is not State.SUCCEEDED:
        for stream in ("stdout", "stderr", "pull"):
            _log_end(gateway, screen, job, stream)
        screen.text(f"the gateway's own words: {places.log}")
        return
    _manifest(gateway, places, screen, job)


def _log_end(gateway: Gateway, screen: Screen, job: Job, stream: str) -> None:
    with contextlib.suppress(GatewayError):
        content, _ = gateway.log(job.id, stream, offset=-4000)
        if lines := content.decode(errors="replace").splitlines()[-LOG_LINES:]:
            screen.heading(f"The end of {stream}")
            for text in lines:
                screen.text(text)


def _manifest(gateway: Gateway, places: Places, screen: Screen, job: Job) -> None:
    """Show the manifest, shortened, after checking who signed it."""
    signed = gateway.manifest(job.id)
    try:
        manifest = verify(json.dumps(signed).encode(), load_or_create_key(places.data).public_key())
    except ValueError as error:
        raise GatewayError(f"the manifest of {job.id} is not good: {error}") from None
    screen.heading("Manifest (the signature is good)")
    for key in ("job", "attempt", "store", "state", "at"):
        screen.text(f"{key:<8} {manifest[key]}")
    files = manifest["files"]
    for file in files[:3]:
        screen.text(f"{'file':<8} {file['path']}  {file['size']} bytes  {file['digest']}")
    if len(files) > 3:
        screen.text(f"{'':<8} … and {len(files) - 3} more")


def _again(places: Places, url: str, screen: Screen, job: Job) -> None:
    """Name the commands that show the job again."""
    program = Path(sys.executable).with_name("gateway")
    gateway = f"{_quoted(program)} --config {_quoted(places.config)}"
    screen.heading("To see this job again (its data stay until the next demo)")
    screen.text(f"{gateway} serve")
    screen.text("and in another terminal:")
    screen.text(f"{gateway} show {job.id[:8]}")
    screen.text(f"{gateway} outputs {job.id[:8]} --get --to results")
    token = _quoted(places.data / "token")
    screen.text(f'curl -H "Authorization: Bearer $(cat {token})" {url}/api/v1/jobs/{job.id}')


def _quoted(path: Path) -> str:
    """Return a path for a shell, short where it lies below this folder."""
    here = Path(os.path.relpath(path))
    return shlex.quote(str(path if ".." in here.parts else here))
