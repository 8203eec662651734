"""Jobs as people submit them, and rows of jobs for a database that has seen some use."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Connection

from gateway.app import person
from gateway.db import jobs
from gateway.model.specification import JobSpecification
from gateway.model.states import State

DIGEST = "sha256:" + "5a" * 32

BODY: dict[str, Any] = {
    "name": "cavity Re=100",
    "image": {"ref": "https://mirror.example.org/cavity_1.0.sif", "digest": DIGEST},
    "command": ["cavity", "--reynolds", "100", "--grid", "64"],
    "env": {"OMP_NUM_THREADS": "1"},
    "inputs": [{"path": "system/controlDict", "content": "endTime 0.5;\ndeltaT 0.005;\nwriteInterval 20;\n" * 4}],
    "outputs": [
        {"source": "VTK/**", "destination": "VTK/"},
        {"source": "log.*", "content_type": "text/plain", "follow": True},
    ],
    "resources": {"cpus": 1, "memory": "512M", "walltime": "00:10:00"},
    "sync": {"interval": 10},
    "tags": {"study": "re-scan"},
}


def insert(connection: Connection, *, target: str, store: str) -> str:
    """Insert one job in state ``accepted``; return its id."""
    specification = JobSpecification.model_validate(BODY)
    job_id = str(uuid.uuid4())
    values = {
        "id": job_id,
        "name": specification.name,
        "state": str(State.ACCEPTED),
        "owner": person(),
        "tags": dict(specification.tags),
        "target": target,
        "stores": [store],
        "spec": specification.model_dump(mode="json"),
    }
    jobs.insert_job(connection, values, [jobs.NewStore(store, None, "push")])
    return job_id
