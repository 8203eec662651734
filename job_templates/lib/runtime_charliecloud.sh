# shellcheck shell=bash
# Charliecloud: ch-run on the unpacked image, in PID and IPC namespaces and with a /dev/shm of its own.

# What the payload's namespaces begin with, still outside of the container: what other jobs of the account have in
# /dev/shm is not the payload's, and the folders before `--` become read-only, because ch-run binds only read-write.
# shellcheck disable=SC2016
gw_charliecloud_begin='
mount -t tmpfs -o mode=1777,nosuid,nodev gateway /dev/shm || exit 125
while [ "$1" != -- ]; do
  mount --rbind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 125
  shift
done
shift
exec "$@"'

# Fill gw_argv with the words that run a program, with the given folders read-only, in namespaces of its own.
gw_charliecloud_unshare() {
  gw_argv=("$(command -v unshare)" --user --map-root-user --pid --ipc --fork --kill-child --mount-proc
    "$(command -v bash)" --noprofile --norc -c "$gw_charliecloud_begin" gateway-namespaces "$@" --)
}

# Say whether this node can run Charliecloud; gw_problem says why not.
gw_charliecloud_available() {
  local said
  gw_payload_has charliecloud ch-run unshare mount unsquashfs || return 1
  gw_charliecloud_unshare
  if ! said=$("${gw_argv[@]}" true 2>&1 </dev/null); then
    said=${said%%$'\n'*}
    gw_problem="charliecloud needs user namespaces, which ${HOSTNAME:-this node} does not give"
    gw_problem+=" (user.max_user_namespaces, util-linux 2.32): ${said:0:200}"
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
  gw_payload_image_fits "$gw_root"
}

# Fill gw_argv with the whole command line.
gw_charliecloud_argv() {
  local bind
  gw_payload_prepare
  gw_charliecloud_unshare ${gw_binds[@]+"${gw_binds[@]}"}
  gw_argv=("$(command -v env)" -i "PATH=$gw_payload_path" LANG=C.UTF-8 HOME=/job "USER=$(gw_payload_user)"
    ${GW_SUBMISSION:+"GW_SUBMISSION=$GW_SUBMISSION"} "${gw_argv[@]}"
    "$(command -v ch-run)" --private-tmp "--uid=$(id -u)" "--gid=$(id -g)")
  for bind in ${gw_binds[@]+"${gw_binds[@]}"}; do
    gw_argv+=(-b "$bind:$bind")
  done
  gw_argv+=(-b "$gw_folder:/job" -c /job "$gw_root" -- "${gw_payload_words[@]}")
}

# Run the payload; replaces the calling process.
gw_charliecloud_run() {
  gw_charliecloud_argv
  exec "${gw_argv[@]}" <<<"$gw_payload_text"
}

# Ask the payload to end; after $1 seconds force it.
gw_charliecloud_stop() {
  gw_payload_stop "$1"
}

# Status 0 while anything of the payload lives.
gw_charliecloud_alive() {
  gw_payload_alive
}
