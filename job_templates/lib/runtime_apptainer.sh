# shellcheck shell=bash
# Apptainer, and Singularity, which takes the same arguments.

# Fill gw_argv with the command line of program $1. The job's folder is mounted at /job; /tmp is a folder on the node,
# because Apptainer's own is a few megabytes of memory.
gw_apptainer_family_argv() {
  local number
  gw_payload_prepare
  gw_argv=("$(command -v "$1")" --silent exec --containall --no-home --pid --cleanenv
    --workdir "$gw_payload_private/work")
  if [ "$EUID" -eq 0 ]; then
    gw_argv+=(--no-privs)
  fi
  if [ "${gw_gpus:-0}" -gt 0 ]; then
    if [ -e /dev/kfd ]; then gw_argv+=(--rocm); else gw_argv+=(--nv); fi
  fi
  if [ -z "${gw_network-yes}" ]; then
    gw_argv+=(--net --network none)
  fi
  for ((number = 0; number < ${#gw_binds[@]}; number++)); do
    gw_argv+=(--bind "${gw_bind_sources[number]-${gw_binds[number]}}:${gw_binds[number]}:ro")
  done
  if [ -n "${gw_twin-}" ]; then gw_argv+=(--bind "$gw_folder:$gw_twin"); fi
  gw_argv+=(--bind "$gw_folder:/job" --pwd /job "$gw_root" "${gw_payload_words[@]}")
}

# The image file $1 is used as it is by program $2; sets gw_root.
gw_apptainer_family_prepare() {
  gw_root=$1
  gw_apptainer_family_alone "$2" || return 1
  gw_payload_make_private gw_apptainer_family_clear && mkdir -- "$gw_payload_private/work"
}

# Where the job must have no network: whether program $1 can take it away here, which some sites forbid to users.
gw_apptainer_family_alone() {
  local said words=("$1" --silent exec --containall --no-home)
  if [ -n "${gw_network-yes}" ]; then return 0; fi
  if [ "$EUID" -eq 0 ]; then words+=(--no-privs); fi
  said=$("${words[@]}" --net --network none "$gw_root" /bin/sh -c : 2>&1 </dev/null) && return 0
  said=${said%%$'\n'*}
  gw_problem="$1 cannot take the network away on ${HOSTNAME:-this node}: ${said:0:200}"
  return 1
}

# Make what a container beside the payload's needs: a folder of its own.
gw_apptainer_family_beside() {
  gw_payload_make_private gw_apptainer_family_clear && mkdir -- "$gw_payload_private/work"
}

# Run the payload by program $1, then remove its private folder.
gw_apptainer_family_run() {
  local status
  gw_apptainer_family_argv "$1"
  "${gw_argv[@]}" <<<"$gw_payload_text"
  status=$?
  gw_apptainer_family_clear "$gw_payload_private"
  return "$status"
}

# Ask the payload to end; after $1 seconds force it.
gw_apptainer_family_stop() {
  gw_payload_stop "$1"
  if ! gw_payload_alive && gw_payload_find_private; then gw_apptainer_family_clear "$gw_payload_private"; fi
}

# Remove the private folder $1, also where the payload took rights away.
gw_apptainer_family_clear() {
  rm -rf --one-file-system -- "$1" 2>/dev/null && return 0
  chmod -R u+rwX -- "$1" 2>/dev/null
  rm -rf --one-file-system -- "$1" 2>/dev/null
}

# The functions of gateway/compute/runtime/base.py under both names.

# Say whether this node can run Apptainer; gw_problem says why not.
gw_apptainer_available() { gw_payload_has apptainer apptainer; }
# Make image file $1 usable.
gw_apptainer_prepare() { gw_apptainer_family_prepare "$1" apptainer; }
# Make what a container beside the payload's needs.
gw_apptainer_beside() { gw_apptainer_family_beside; }
# Run the payload.
gw_apptainer_run() { gw_apptainer_family_run apptainer; }
# Ask, then force after $1 seconds.
gw_apptainer_stop() { gw_apptainer_family_stop "$1"; }
# Status 0 while anything of the payload lives.
gw_apptainer_alive() { gw_payload_alive; }
# Say whether this node can run Singularity; gw_problem says why not.
gw_singularity_available() { gw_payload_has singularity singularity; }
# Make image file $1 usable.
gw_singularity_prepare() { gw_apptainer_family_prepare "$1" singularity; }
# Make what a container beside the payload's needs.
gw_singularity_beside() { gw_apptainer_family_beside; }
# Run the payload.
gw_singularity_run() { gw_apptainer_family_run singularity; }
# Ask, then force after $1 seconds.
gw_singularity_stop() { gw_apptainer_family_stop "$1"; }
# Status 0 while anything of the payload lives.
gw_singularity_alive() { gw_payload_alive; }
