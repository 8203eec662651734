"""What a real job left is verified byte by byte; a gateway that forgot the job takes it back by its signature."""

from __future__ import annotations

from pathlib import Path

from running import RunningGateway
from sections import local_target

from gateway.client import Gateway

SCRIPT = """
mkdir -p 'VTK/walls [1]'
for i in 1 2 3; do echo "$i" > "VTK/walls [1]/p_$i.vtk"; done
: > empty
head -c 300000 /dev/zero > large.bin
"""


def test_a_job_is_verified_tampered_with_forgotten_and_adopted_again(start_gateway, image: dict[str, str]) -> None:
    store = {"kind": "directory", "path": "{data}/outputs"}
    running: RunningGateway = start_gateway({"targets": {"here": local_target()}, "stores": {"disk": store}})
    with Gateway(data=running.data) as gateway:
        job = gateway.submit(
            name="proof", image=image, script=SCRIPT, resources={"walltime": 120}, sync={"interval": None}
        )
        assert gateway.wait(job.id, 120).state == "succeeded"
        found = gateway.verify_outputs(job.id)
        assert (found.verdict, found.signature, found.completeness) == ("verified", "good", "complete"), found
        assert found.counts == {"ok": 5}
        assert [file.path for file in gateway.find_outputs("**/*.vtk", min_size=1)] == [
            f"VTK/walls [1]/p_{number}.vtk" for number in (1, 2, 3)
        ]
        assert [line.kind for line in gateway.reconcile("disk") if line.kind != "progress"] == ["done"]
        before = {file.path: (file.size, file.digest, file.state) for file in gateway.find_outputs(job_id=job.id)}

        gateway.delete(job.id)
        lines = list(gateway.reconcile("disk"))
        assert [(line.job_id, line.added) for line in lines if line.kind == "adopted"] == [(job.id, 5)], lines
        again = gateway.job(job.id).info
        assert (again.state, again.reason, again.name, again.target) == ("succeeded", "imported", "proof", "here")
        assert again.outputs.state == "complete"
        assert {f.path: (f.size, f.digest, f.state) for f in gateway.find_outputs(job_id=job.id)} == before
        assert gateway.verify_outputs(job.id).verdict == "verified"

        Path(running.data, "outputs", job.id, "large.bin").write_bytes(b"\1" * 300_000)
        found = gateway.verify_outputs(job.id)
        assert (found.verdict, [(item.path, item.result) for item in found.findings]) == (
            "failed",
            [("large.bin", "tampered")],
        )
