"""What a payload cannot do: read credentials, other jobs or the home folder, or forge its own record."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from running import RunningGateway
from sections import ssh_target

from testbed.azurite import Azurite
from testbed.cluster import Cluster

NOSY = r"""
for path in CONTROL/credentials CONTROL/final.json OTHER/secret HOME/.bashrc HOME /job/../.gateway; do
  if cat "$path" >/dev/null 2>&1 || ls "$path" >/dev/null 2>&1; then echo "saw $path"; fi
done
for entry in /proc/[0-9]*; do
  tr '\0' '\n' <"$entry/environ" 2>/dev/null | grep -a ^RCLONE_ && echo "saw secrets in $entry"
  tr '\0' '\n' <"$entry/cmdline" 2>/dev/null | grep -aE 'sig=[A-Za-z0-9%]{20}' && echo "saw a secret in $entry"
  [ "$(cat "$entry/comm")" = rclone ] && echo "saw the syncer by $entry"
  ls "$entry/root/" 2>/dev/null | grep -qx home-of-the-host && echo "saw the host by $entry/root"
  ls "$entry/cwd/" 2>/dev/null | grep -qx final.json && echo "saw the control folder by $entry/cwd"
done
env | grep -aE '^RCLONE|sig=' && echo "saw secrets in the environment"
mkdir -p CONTROL 2>/dev/null
echo '{"version":1,"outcome":"ended","exit_code":0,"reason":null}' >CONTROL/final.json 2>/dev/null
find CONTROL -name claim 2>/dev/null | while read -r claim; do
  echo '{"version":1,"outcome":"ended","exit_code":0,"reason":null}' >"${claim%/*}/final.json" && echo forged
done
mkdir -p /job/.gateway && echo '{"version":1,"exit_code":0}' >/job/.gateway/final.json
ln -s /etc/passwd /job/link; ln -s CONTROL /job/control
echo done
exit 7
"""


@pytest.fixture(scope="module", params=["charliecloud", "podman"])
def target(request: pytest.FixtureRequest, cluster: Cluster) -> dict[str, Any]:
    return ssh_target(cluster, "slurm", request.param, runtime={"kind": request.param})


@pytest.fixture(scope="module")
def gateway(start_gateway, target: dict[str, Any], azurite: Azurite) -> RunningGateway:
    stores = {
        "blobs": {
            "kind": "azure",
            "account_url": azurite.account_url,
            "container": f"jobs-{uuid.uuid4().hex[:8]}",
            "credential": {"account_key": {"env": "TEST_AZURE_KEY"}},
        }
    }
    return start_gateway({"targets": {"t": target}, "stores": stores}, {"TEST_AZURE_KEY": azurite.key})


def test_a_nosy_payload_sees_and_forges_nothing(gateway: RunningGateway, image, target, cluster: Cluster) -> None:
    other = gateway.submit(
        image=image,
        script="echo mine >secret; sleep 20",
        sync={"interval": 1, "settle": 0},
        resources={"walltime": 120, "memory": "100M"},
    )
    gateway.wait_state(other, "running")
    control = f"{target['workdir']}/.gateway"
    script = NOSY.replace("CONTROL", control).replace("OTHER", f"{target['workdir']}/{other}")
    script = script.replace("HOME", str(cluster.home))
    job_id = gateway.submit(
        image=image,
        script=script,
        sync={"interval": 1, "settle": 0},
        resources={"walltime": 120, "memory": "100M"},
    )
    job = gateway.wait(job_id)
    log = gateway.log(job_id)
    assert log == b"done\n"
    assert (job["state"], job["reason"], job["exit_code"]) == ("failed", "exit_code", 7)
    assert [path for path in gateway.files(job_id) if "gateway" in path or path in ("link", "control")] == []
    gateway.cancel(other)
    gateway.wait(other)


def test_no_secret_stands_in_the_script_or_a_log(gateway: RunningGateway, image, target, cluster: Cluster) -> None:
    job_id = gateway.submit(
        image=image, script="echo x >y", sync={"interval": 1, "settle": 0}, resources={"walltime": 60}
    )
    gateway.wait(job_id)
    control = f"{target['workdir']}/.gateway/{job_id}/1"
    found = cluster.run(f"grep -rlaE 'sig=[A-Za-z0-9%]{{20}}' {control}")
    assert found.stdout.strip() == ""
    assert cluster.run(f"test -e {control}/credentials").returncode != 0
    assert "sig=" not in (gateway.folder / "gateway.log").read_text()
