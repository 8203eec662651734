# shellcheck shell=bash
# Podman: the unpacked image as a read-only root file system, no image store.

# Say whether this node can run Podman; gw_problem says why not.
gw_podman_available() {
  gw_payload_has podman podman unsquashfs || return 1
  if [ "$EUID" -ne 0 ] && ! unshare --user true 2>/dev/null; then
    gw_problem="podman needs user namespaces, which ${HOSTNAME:-this node} does not give (user.max_user_namespaces)"
    return 1
  fi
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
  gw_payload_image_fits "$gw_root" && gw_payload_make_private gw_podman_clear || return 1
  gw_payload_pidfile=$gw_payload_private/pid
}

# Make what a container beside the payload's needs: a folder and state of its own.
gw_podman_beside() {
  gw_payload_make_private gw_podman_clear || return 1
  gw_payload_pidfile=$gw_payload_private/pid
}

# Fill gw_podman_words: podman with all its state in folder $1, because batch jobs have no login session. Its locks are
# files there, because those in shared memory belong to the account, and each new folder would free all of them.
gw_podman_use() {
  mkdir -p -- "$1/run" "$1/home"
  printf '[engine]\nlock_type = "file"\n' >"$1/containers.conf"
  gw_podman_words=("$(command -v env)" -u DBUS_SESSION_BUS_ADDRESS "XDG_RUNTIME_DIR=$1/run" "HOME=$1/home" TMPDIR=/tmp
    "CONTAINERS_CONF=$1/containers.conf" "$(command -v podman)" --runtime "$gw_podman_runtime"
    --cgroup-manager cgroupfs --storage-driver vfs --root "$1/storage" --runroot "$1/run/containers"
    --tmpdir "$1/run/tmp" --events-backend none --log-level error)
}

# Fill gw_argv with the whole command line.
gw_podman_argv() {
  local number memory device processes most network=host
  gw_payload_prepare
  gw_podman_use "$gw_payload_private"
  read -r _ memory _ </proc/meminfo
  if [ -z "${gw_network-yes}" ]; then network=none; fi
  gw_argv=("${gw_podman_words[@]}" run --interactive "--name=gw-$gw_job-$gw_attempt"
    "--pidfile=$gw_payload_pidfile" --log-driver=none "--network=$network" --pid=private --init=false --http-proxy=false
    --read-only --tmpfs=/tmp "--shm-size=$((memory / 2))k" --security-opt=no-new-privileges
    --security-opt=label=disable --cap-drop=all "--env=PATH=$gw_payload_path" --env=LANG=C.UTF-8)
  if [ "$EUID" -eq 0 ]; then
    # Podman's own defaults for root are higher than what small machines let a container set, and Podman itself has
    # no more processes than the kernel has numbers.
    processes=$(ulimit -Hu) most=$(cat /proc/sys/kernel/pid_max)
    if [ "$processes" = unlimited ] || [ "$processes" -gt "$most" ]; then processes=$most; fi
    gw_argv+=("--ulimit=nofile=$(ulimit -Sn):$(ulimit -Hn)" "--ulimit=nproc=$processes:$processes" --pids-limit=-1)
  else
    gw_argv+=(--ulimit=host)
  fi
  if [ "${gw_gpus:-0}" -gt 0 ]; then
    for device in /dev/nvidia* /dev/kfd /dev/dri; do
      if [ -e "$device" ]; then gw_argv+=("--device=$device"); fi
    done
  fi
  for ((number = 0; number < ${#gw_binds[@]}; number++)); do
    gw_argv+=(-v "${gw_bind_sources[number]-${gw_binds[number]}}:${gw_binds[number]}:ro")
  done
  if [ -n "${gw_twin-}" ]; then gw_argv+=(-v "$gw_folder:$gw_twin"); fi
  gw_argv+=(-v "$gw_folder:/job" -w /job --rootfs "$gw_root" "${gw_payload_words[@]}")
}

# Run the payload, then remove Podman's own folder.
gw_podman_run() {
  local status
  gw_podman_argv
  "${gw_argv[@]}" <<<"$gw_payload_text"
  status=$?
  gw_podman_clear "$gw_payload_private"
  return "$status"
}

# Ask the payload to end; after $1 seconds force it. The syncer does this too, when the script itself was killed.
gw_podman_stop() {
  gw_payload_find_private || return 0
  gw_payload_pidfile=$gw_payload_private/pid
  gw_payload_stop "$1"
  if [ -d "$gw_payload_private" ] && ! gw_payload_alive; then gw_podman_clear "$gw_payload_private"; fi
}

# Status 0 while anything of the payload lives.
gw_podman_alive() {
  gw_payload_alive
}

# End what still runs with its state in folder $1, and remove the folder. Podman itself is not asked: what it starts at
# a container's end may still be at work, and hangs when its files go.
gw_podman_clear() {
  local gw_payload_pidfile=$1/pid pid='' path
  if gw_payload_find_init; then kill -KILL "$gw_init" 2>/dev/null; fi
  { read -r pid <"$1/run/tmp/pause.pid"; } 2>/dev/null # it keeps an ordinary user's namespaces
  while IFS= read -r path; do
    path=${path%/*}
    case $(cat "$path/comm" 2>/dev/null) in
      podman* | conmon* | runc* | crun* | catatonit*) kill -KILL "${path##*/}" 2>/dev/null ;;
    esac
  done < <(printf '%s\n' ${pid:+"/proc/$pid/comm"} && grep -lszF -e "$1/" /proc/[0-9]*/cmdline)
  if [ "$EUID" -eq 0 ]; then # an ordinary user's mounts and the runtime's own records are gone or in the folder
    for path in "$1"/storage/vfs-containers/*/; do
      [ ! -d "$path" ] || "$gw_podman_runtime" delete --force "$(basename "$path")" >/dev/null 2>&1 </dev/null
    done
    while read -r _ _ _ _ path _; do
      case $path in "$1"/*) umount -l -- "$path" ;; esac
    done </proc/self/mountinfo
  fi
  rm -rf --one-file-system -- "$1" 2>/dev/null || { sleep 0.2 && rm -rf --one-file-system -- "$1"; }
}
