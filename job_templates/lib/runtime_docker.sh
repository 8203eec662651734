# shellcheck shell=bash
# Docker: the unpacked image is imported once for each digest, because Docker cannot use a folder.

# Say whether this node can run Docker; gw_problem says why not.
gw_docker_available() {
  gw_payload_has docker docker tar unsquashfs || return 1
  if ! docker info >/dev/null 2>&1 </dev/null; then
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
  gw_payload_image_fits "$pull_folder" || return 1
  key=${pull_folder##*/}
  gw_root="science-gateway:${key:0:40}"
  gw_docker_has_image && return 0
  lock="$gw_image_cache/.locks/docker-$(uname -n)-$key.lock" # Docker's images are the node's, and so is the lock
  if ! { : >>"$lock"; } 2>/dev/null; then lock=/dev/null; fi
  if ! (
    set -o pipefail
    flock 9 2>/dev/null
    gw_docker_has_image && exit 0
    tar -C "$pull_folder" --numeric-owner -cf - . 9>&- | docker import - "$gw_root" >/dev/null 9>&-
  ) 9>>"$lock"; then
    gw_problem="docker could not import the image"
    return 1
  fi
}

# Whether Docker has image $gw_root.
gw_docker_has_image() {
  docker image inspect "$gw_root" >/dev/null 2>&1 </dev/null 9>&-
}

# Fill gw_argv with the whole command line.
gw_docker_argv() {
  local number memory device network=host
  gw_payload_prepare
  read -r _ memory _ </proc/meminfo
  if [ -z "${gw_network-yes}" ]; then network=none; fi
  gw_argv=("$(command -v docker)" run --rm --interactive "--name=gw-$gw_job-$gw_attempt" --log-driver=none
    "--network=$network" --read-only --tmpfs=/tmp:exec "--shm-size=$((memory / 2))k" --security-opt=no-new-privileges
    --security-opt=label=disable --cap-drop=ALL "--user=$(id -u):$(id -g)" "--env=PATH=$gw_payload_path"
    --env=LANG=C.UTF-8 --env=HOME=/job)
  if [ "${gw_gpus:-0}" -gt 0 ]; then
    if [ -e /dev/kfd ]; then
      for device in /dev/kfd /dev/dri; do
        if [ -e "$device" ]; then gw_argv+=("--device=$device"); fi
      done
    else
      gw_argv+=(--gpus=all)
    fi
  fi
  for ((number = 0; number < ${#gw_binds[@]}; number++)); do
    gw_argv+=(-v "${gw_bind_sources[number]-${gw_binds[number]}}:${gw_binds[number]}:ro")
  done
  if [ -n "${gw_twin-}" ]; then gw_argv+=(-v "$gw_folder:$gw_twin"); fi
  gw_argv+=(-v "$gw_folder:/job" -w /job "$gw_root" "${gw_payload_words[@]}")
}

# Run the payload; replaces the calling process.
gw_docker_run() {
  gw_docker_argv
  exec "${gw_argv[@]}" <<<"$gw_payload_text"
}

# Ask the payload to end by its container's name (the processes are the daemon's); after $1 seconds force it. A
# container that is just being made has no name yet.
gw_docker_stop() {
  local tenths=$(($1 * 10))
  while gw_payload_lives "$gw_payload_pid"; do
    docker stop -t "$1" "gw-$gw_job-$gw_attempt" >/dev/null 2>&1 </dev/null && break
    [ "$tenths" -gt 0 ] || break
    tenths=$((tenths - 1))
    sleep 0.1
  done
  docker kill "gw-$gw_job-$gw_attempt" >/dev/null 2>&1 </dev/null
  gw_payload_gone 20 || gw_payload_kill
}

# Status 0 while anything of the payload lives.
gw_docker_alive() {
  gw_payload_lives "$gw_payload_pid" && return 0
  [ -n "$(docker ps -q --filter "name=^gw-$gw_job-$gw_attempt\$" 2>/dev/null </dev/null)" ]
}
