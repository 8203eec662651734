#!/bin/sh
# Installs the Debian packages that a part of this project needs.
#
#   scripts/setup-debian.sh PROFILE...        profiles: venv demo demo-cluster test bench
#
# With everything present it says nothing. As root it installs what is missing; otherwise it prints the one
# line that does, and ends with status 1. It looks for commands and files, not for packages: what came to
# the machine in another way counts.
set -u

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
missing=

# want PACKAGES... : add packages to what is missing.
want() {
    for package in "$@"; do
        case " $missing " in
            *" $package "*) ;;
            *) missing="${missing:+$missing }$package" ;;
        esac
    done
}

# need COMMAND PACKAGE : the command must be there.
need() {
    command -v "$1" >/dev/null 2>&1 || want "$2"
}

# need_file PACKAGE PATH... : the first path, after globbing, must be there.
need_file() {
    [ -e "$2" ] || want "$1"
}

# A Python that can make virtual environments: Debian keeps ensurepip apart.
need_python() {
    python=${PYTHON:-python3}
    if ! command -v "$python" >/dev/null 2>&1; then
        want python3 python3-venv
    elif [ "$(command -v "$python")" = /usr/bin/python3 ]; then
        need_file python3-venv /usr/lib/python3*/ensurepip/__init__.py
    elif ! "$python" -I -S -c 'from importlib.util import find_spec; raise SystemExit(find_spec("ensurepip") is None)'; then
        want python3-venv
    fi
}

# Any container runtime will do.
need_runtime() {
    for runtime in apptainer singularity ch-run podman; do
        command -v "$runtime" >/dev/null 2>&1 && return
    done
    if command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1; then return; fi
    want charliecloud
}

demo() {
    need_python
    need mksquashfs squashfs-tools
    need mmdebstrap mmdebstrap
    need newuidmap uidmap
    need_runtime
}

demo_cluster() {
    demo
    need sshd openssh-server
    need ssh openssh-client
    need slurmctld slurmctld
    need slurmd slurmd
    need sbatch slurm-client
    need munged munge
    need qsub slurm-wlm-torque
    need_file slurm-wlm-basic-plugins /usr/lib/*/slurm*/spank_pbs.so
}

tests() {
    demo_cluster
    need podman podman
    need runc runc
    need ch-run charliecloud
    need siftool siftool
    need squashfuse squashfuse
    need aria2c aria2
    need docker-registry docker-registry
    need zstd zstd
    need nginx nginx-light
    need_file lmod /usr/share/lmod/lmod/init/bash
    need_file postgresql /usr/lib/postgresql/*/bin/initdb
    need curl curl
    need csh tcsh
    need ps procps
    need ss iproute2
    # The static one: Debian's busybox package has a command of the same name.
    if ! command -v busybox >/dev/null 2>&1 || ldd "$(command -v busybox)" >/dev/null 2>&1; then
        want busybox-static
    fi
    need node nodejs
    need npm npm
    need chromium chromium
}

# Debian starts the daemons it installs; nothing here wants them. A policy says no, for as long as we install.
install_missing() {
    policy=/usr/sbin/policy-rc.d
    made=
    if [ ! -e "$policy" ]; then
        made=$policy
        trap 'rm -f "$made"' EXIT
        trap 'exit 130' INT TERM HUP
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || return 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # names of packages, from this file
    apt-get install -y --no-install-recommends $missing ||
        { apt-get update && apt-get install -y --no-install-recommends $missing; }
}

[ $# -gt 0 ] || { echo "usage: $0 venv|demo|demo-cluster|test|bench ..." >&2; exit 2; }
for profile in "$@"; do
    case $profile in
        venv) need_python ;;
        demo) demo ;;
        demo-cluster) demo_cluster ;;
        test | bench) tests ;;
        *) echo "$0: no profile $profile" >&2; exit 2 ;;
    esac
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -eq 0 ]; then
    install_missing
else
    echo "These Debian packages are missing; as root:" >&2
    echo "apt-get install --no-install-recommends $missing"
    exit 1
fi
