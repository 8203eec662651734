# shellcheck shell=bash
# Docker: the unpacked image is imported once for each digest, because Docker cannot use a folder.

# Say whether this node can run Docker; gw_problem says why not.
gw_docker_available() {
  if ! command -v docker >/dev/null 2>&1; then
    gw_problem="docker is not on PATH of ${HOSTNAME:-this node}"
    return 1
  fi
  if ! docker info >/dev/null 2>&1; then
    gw_problem="the docker daemon of ${HOSTNAME:-this node} does not answer this account"
    return 1
  fi
}

# Import image file $1 under the name of its digest, unless it is there; sets gw_root to that name.
gw_docker_prepare() {
  local key lock
  if ! pull_unpack "$gw_image_cache" "$1"; then
    gw_problem=$pull_message
    return 1
  fi
  key=$(basename "$pull_folder")
  gw_root="science-gateway:${key:0:40}"
  docker image inspect "$gw_root" >/dev/null 2>&1 && return 0
  lock="$gw_image_cache/.locks/docker-$key.lock"
  if ! (
    flock 9 || exit 1
    docker image inspect "$gw_root" >/dev/null 2>&1 && exit 0
    tar -C "$pull_folder" --numeric-owner -cf - . 9>&- | docker import - "$gw_root" >/dev/null 9>&-
  ) 9>>"$lock"; then
    gw_problem="docker could not import the image"
    return 1
  fi
}

# Fill gw_argv with the whole command line.
gw_docker_argv() {
  local bind word
  gw_payload_env /job
  gw_argv=("$(command -v docker)" run --rm "--name=gw-$gw_job-$gw_attempt" --network=host --init
    --read-only --tmpfs=/tmp --security-opt=no-new-privileges --cap-drop=ALL "--user=$(id -u):$(id -g)")
  if [ "${gw_gpus:-0}" -gt 0 ]; then
    gw_argv+=(--gpus=all)
  fi
  for word in "${gw_env_words[@]}"; do
    gw_argv+=("--env=$word")
  done
  for bind in ${gw_binds[@]+"${gw_binds[@]}"}; do
    gw_argv+=(-v "$bind:$bind:ro")
  done
  gw_argv+=(-v "$gw_folder:/job" -w /job "$gw_root" "${gw_command[@]}")
}

# Run the payload; replaces the calling process.
gw_docker_run() {
  gw_docker_argv
  exec "${gw_argv[@]}"
}

# Ask the payload to end by its container's name; after $1 seconds force it.
gw_docker_stop() {
  docker stop -t "$1" "gw-$gw_job-$gw_attempt" >/dev/null 2>&1
  gw_payload_gone 5 && return 0
  docker kill "gw-$gw_job-$gw_attempt" >/dev/null 2>&1
  gw_payload_kill
}

# Status 0 while the payload lives.
gw_docker_alive() {
  kill -0 "$gw_payload_pid" 2>/dev/null
}
