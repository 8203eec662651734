# shellcheck shell=bash
# Charliecloud: ch-run on the unpacked image, in PID and IPC namespaces and with a /dev/shm of its own.

# What the payload's namespaces begin with, still outside of the container: what other jobs of the account have in
# /dev/shm is not the payload's, and the folders before `--` become read-only, because ch-run binds only read-write.
# Before them stand a folder of the image and the one that is to be mounted in it, or nothing twice.
# shellcheck disable=SC2016
gw_charliecloud_begin='
mount -t tmpfs -o mode=1777,nosuid,nodev gateway /dev/shm || exit 125
if [ -n "$1" ]; then
  mount -t tmpfs -o mode=0755,nosuid,nodev gateway "$1" && mkdir -- "$1/$2" || exit 125
fi
shift 2
while [ "$1" != -- ]; do
  mount --rbind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 125
  shift
done
shift
exec "$@"'

# Fill gw_argv with the words that run a program, with the given folders read-only, in namespaces of its own. The job's
# folder of a tool has its mount point in memory, because the image would keep one of each job.
gw_charliecloud_unshare() {
  local alone=() twin=''
  case ${gw_twin-} in
    '' | /tmp/*) ;; # /tmp is the container's own
    *) twin=$gw_root${gw_twin%/*} ;;
  esac
  if [ -z "${gw_network-yes}" ]; then alone=(--net); fi
  gw_argv=("$(command -v unshare)" --user --map-root-user --pid --ipc ${alone[@]+"${alone[@]}"} --fork --kill-child
    --mount-proc "$(command -v bash)" --noprofile --norc -c "$gw_charliecloud_begin" gateway-namespaces
    "$twin" "${twin:+${gw_twin##*/}}" "$@" --)
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
  gw_payload_image_fits "$gw_root" && gw_charliecloud_points ${gw_binds[@]+"${gw_binds[@]}"}
}

# Make the folders in the unpacked image gw_root on which those of the node are mounted: ch-run makes none in an image
# that is read-only. A link of the image could lead to the node's own folders, and is not followed. In /tmp, which is
# the container's own, ch-run makes them itself. Status 1, and gw_problem: one cannot be made.
gw_charliecloud_points() {
  local point rest at
  for point in "$@"; do
    case $point in /tmp/*) continue ;; esac
    at=$gw_root rest=${point#/}
    while [ -n "$rest" ]; do
      at+=/${rest%%/*}
      case $rest in */*) rest=${rest#*/} ;; *) rest='' ;; esac
      if [ ! -L "$at" ] && { [ -d "$at" ] || mkdir -- "$at" || [ -d "$at" ]; } 2>/dev/null; then continue; fi
      gw_problem="the image has no folder $point, on which that of the node could be mounted, and it cannot be made"
      return 1
    done
  done
}

# Make the mount point of the job's folder $1 at its own place.
gw_charliecloud_twin() {
  case $1 in /tmp/*) return ;; esac
  gw_charliecloud_points "${1%/*}"
}

# Fill gw_argv with the whole command line.
gw_charliecloud_argv() {
  local number sources=()
  gw_payload_prepare
  for ((number = 0; number < ${#gw_binds[@]}; number++)); do
    sources+=("${gw_bind_sources[number]-${gw_binds[number]}}")
  done
  gw_charliecloud_unshare ${sources[@]+"${sources[@]}"}
  gw_argv=("$(command -v env)" -i "PATH=$gw_payload_path" LANG=C.UTF-8 HOME=/job "USER=$(gw_payload_user)"
    ${GW_SUBMISSION:+"GW_SUBMISSION=$GW_SUBMISSION"} "${gw_argv[@]}"
    "$(command -v ch-run)" --private-tmp "--uid=$(id -u)" "--gid=$(id -g)")
  for ((number = 0; number < ${#gw_binds[@]}; number++)); do
    gw_argv+=(-b "${sources[number]}:${gw_binds[number]}")
  done
  if [ -n "${gw_twin-}" ]; then gw_argv+=(-b "$gw_folder:$gw_twin"); fi
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
