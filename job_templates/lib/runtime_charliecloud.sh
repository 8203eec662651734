# shellcheck shell=bash
# Charliecloud: ch-run on the unpacked image, in a PID namespace of its own.

# PID 1 of the namespace, on the host's side: starts its arguments, passes TERM on to every process
# of the namespace once, and ends with the status of what it started; the kernel then ends the rest.
# (As PID 1 itself the payload would not even notice TERM.)
# shellcheck disable=SC2016
gw_charliecloud_init='
trap "gw_term=1; kill -TERM -1 2>/dev/null" TERM
"$@" & gw_child=$!
gw_seen= gw_end=0
while :; do
  gw_term=
  wait "$gw_child"; gw_now=$?
  [ "$gw_now" -eq 127 ] && [ -n "$gw_seen" ] && break
  gw_end=$gw_now gw_seen=1
  [ -n "$gw_term" ] || break
done
exit "$gw_end"'

# Say whether this node can run Charliecloud; gw_problem says why not.
gw_charliecloud_available() {
  local word
  for word in ch-run unshare unsquashfs; do
    if ! command -v "$word" >/dev/null 2>&1; then
      gw_problem="charliecloud needs $word, which is not on PATH of ${HOSTNAME:-this node}"
      return 1
    fi
  done
  if ! unshare --user --map-root-user --pid --fork --mount-proc true 2>/dev/null; then
    gw_problem="charliecloud needs user namespaces, which ${HOSTNAME:-this node} does not allow (user.max_user_namespaces)"
    return 1
  fi
}

# Unpack image file $1 beside it, once for all jobs; sets gw_root.
gw_charliecloud_prepare() {
  if ! pull_unpack "$gw_image_cache" "$1"; then
    gw_problem=$pull_message
    return 1
  fi
  gw_root=$pull_folder
}

# Fill gw_argv with the whole command line.
gw_charliecloud_argv() {
  local bind
  gw_payload_env /job
  gw_argv=("$(command -v env)" -i "${gw_env_words[@]}"
    "$(command -v unshare)" --user --map-root-user --pid --fork --kill-child --mount-proc
    "$(command -v bash)" --noprofile --norc -c "$gw_charliecloud_init" gateway-init
    "$(command -v ch-run)" --private-tmp "--uid=$(id -u)" "--gid=$(id -g)")
  for bind in ${gw_binds[@]+"${gw_binds[@]}"}; do
    gw_argv+=(-b "$bind:$bind")
  done
  gw_argv+=(-b "$gw_folder:/job" -c /job "$gw_root" -- "${gw_command[@]}")
}

# Run the payload; replaces the calling process.
gw_charliecloud_run() {
  gw_charliecloud_argv
  exec "${gw_argv[@]}"
}

# Ask every process of the payload to end; after $1 seconds end the namespace.
gw_charliecloud_stop() {
  local child
  for child in $(gw_children_of "$gw_payload_pid"); do
    kill -TERM "$child" 2>/dev/null
  done
  gw_payload_gone "$1" && return 0
  for child in $(gw_children_of "$gw_payload_pid"); do
    kill -KILL "$child" 2>/dev/null
  done
  gw_payload_kill
}

# Status 0 while the payload lives.
gw_charliecloud_alive() {
  kill -0 "$gw_payload_pid" 2>/dev/null
}
