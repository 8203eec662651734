# shellcheck shell=bash
# Podman: the unpacked image as a read-only root file system, no image store.

# Say whether this node can run Podman; gw_problem says why not.
gw_podman_available() {
  local word
  for word in podman unsquashfs; do
    if ! command -v "$word" >/dev/null 2>&1; then
      gw_problem="podman needs $word, which is not on PATH of ${HOSTNAME:-this node}"
      return 1
    fi
  done
  # crun refuses nodes that mix control group versions; runc takes them.
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    gw_podman_runtime=$(command -v crun || command -v runc)
  else
    gw_podman_runtime=$(command -v runc || command -v crun)
  fi
  if [ -z "$gw_podman_runtime" ]; then
    gw_problem="podman needs crun or runc, and ${HOSTNAME:-this node} has neither on PATH"
    return 1
  fi
}

# Unpack image file $1 beside it, once for all jobs; sets gw_root.
gw_podman_prepare() {
  if ! pull_unpack "$gw_image_cache" "$1"; then
    gw_problem=$pull_message
    return 1
  fi
  gw_root=$pull_folder
}

# Point Podman at a folder of this attempt's own: batch jobs have no login session, HOME may be read-only, and
# the path must be short (Podman takes 50 characters).
gw_podman_home() {
  local base
  base="${TMPDIR:-/tmp}/gw-${gw_job:0:8}-$gw_attempt"
  mkdir -m 0700 "$base" 2>/dev/null
  if [ ! -O "$base" ] || [ -L "$base" ]; then
    gw_problem="$base belongs to somebody else"
    return 1
  fi
  mkdir -p "$base/run" "$base/home"
  gw_podman_base=$base
  gw_podman_words=("$(command -v env)" -u DBUS_SESSION_BUS_ADDRESS "XDG_RUNTIME_DIR=$base/run" "HOME=$base/home"
    "$(command -v podman)" --runtime "$gw_podman_runtime" --cgroup-manager cgroupfs
    --root "$base/storage" --runroot "$base/run/containers" --log-level error)
}

# Fill gw_argv with the whole command line.
gw_podman_argv() {
  local bind word
  gw_payload_env /job
  gw_argv=("${gw_podman_words[@]}" run --rm "--name=gw-$gw_job-$gw_attempt" --network=host --pid=private
    --init=false --read-only --tmpfs=/tmp --security-opt=no-new-privileges --cap-drop=all)
  if [ "$(id -u)" -eq 0 ]; then
    # Podman's own defaults for root are higher than what small machines let a container set.
    gw_argv+=("--ulimit=nofile=$(ulimit -Sn):$(ulimit -Hn)" --ulimit=nproc=4096:4096)
  else
    gw_argv+=(--ulimit=host)
  fi
  for word in "${gw_env_words[@]}"; do
    gw_argv+=("--env=$word")
  done
  for bind in ${gw_binds[@]+"${gw_binds[@]}"}; do
    gw_argv+=(-v "$bind:$bind:ro")
  done
  gw_argv+=(-v "$gw_folder:/job" -w /job --rootfs "$gw_root" "${gw_command[@]}")
}

# Run the payload, then remove Podman's own folder.
gw_podman_run() {
  local status
  gw_podman_home || { printf '%s\n' "$gw_problem" >&2; return 125; }
  gw_podman_argv
  "${gw_argv[@]}"
  status=$?
  rm -rf -- "$gw_podman_base"
  return "$status"
}

# Ask the payload to end by its container's name; after $1 seconds force it.
gw_podman_stop() {
  gw_podman_home || return 1
  "${gw_podman_words[@]}" stop -t "$1" "gw-$gw_job-$gw_attempt" >/dev/null 2>&1
  gw_payload_gone 5 && return 0
  "${gw_podman_words[@]}" kill -s KILL "gw-$gw_job-$gw_attempt" >/dev/null 2>&1
  gw_payload_kill
}

# Status 0 while the payload lives.
gw_podman_alive() {
  kill -0 "$gw_payload_pid" 2>/dev/null
}
