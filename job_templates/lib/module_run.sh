# shellcheck shell=bash
# One command of a tool for a person on a cluster, outside of jobs: what the wrappers of `gateway images modules` call.
# Joined behind the puller and the libraries of Charliecloud and Podman. Arguments: FOLDER (of the tool, with `image`) COMMAND WORDS...

# Ends with one sentence.
module_fail() {
  printf '%s: %s\n' "$module_command" "$1" >&2
  exit 126
}

# Reads FOLDER/image: lines of a word and a value.
module_read() {
  local word value
  module_sources=() module_binds=() module_runtimes=() module_cache='' module_digest='' module_name=''
  while read -r word value; do
    case $word in
      name) module_name=$value ;;
      digest) module_digest=$value ;;
      cache) module_cache=${GATEWAY_IMAGES:-$value} ;;
      source) module_sources+=("$value") ;;
      bind) module_binds+=("$value") ;;
      runtime) module_runtimes+=("$value") ;;
    esac
  done <"$1/image" || module_fail "$1/image cannot be read"
  case $module_cache in '~'/*) module_cache=$HOME/${module_cache#??} ;; esac
}

# Fills module_places: the folders of the node that the command sees, where it is and where its files are.
module_find_places() {
  local place
  module_places=()
  for place in "${HOME-}" "$PWD" ${module_binds[@]+"${module_binds[@]}"}; do
    case $place in '' | / | /tmp | *:* | *,*) continue ;; esac
    if [ -d "$place" ]; then module_places+=("$place"); fi
  done
  case $PWD in *[:,]*) module_fail "the name of this folder has a colon or a comma, which container runtimes cannot take" ;; esac
}

# What the command begins with in its container.
# shellcheck disable=SC2016
module_first='
if [ -z "$APPTAINER_CONTAINER$SINGULARITY_CONTAINER" ]; then
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  for gw_file in /.singularity.d/env/10-docker2singularity.sh /.singularity.d/env/90-environment.sh; do
    if [ -r "$gw_file" ]; then . "$gw_file"; fi
  done
fi
if [ -n "${DEPLOY_PATH-}" ]; then PATH=$DEPLOY_PATH:$PATH; fi
unset gw_file
exec "$@"'

# Becomes the command, in a container of program $1 (apptainer or singularity).
module_apptainer() {
  local program=$1 place words=(--silent exec --pwd "$PWD")
  shift
  for place in ${module_places[@]+"${module_places[@]}"}; do words+=(--bind "$place"); done
  if [ -e /dev/nvidiactl ]; then words+=(--nv); elif [ -e /dev/kfd ]; then words+=(--rocm); fi
  exec "$program" "${words[@]}" "$pull_path" /bin/sh -c "$module_first" gateway-tool "$@"
}

# Becomes the command, in a container of Charliecloud.
module_charliecloud() {
  local place words=() gw_root=$pull_folder gw_problem=''
  gw_charliecloud_points ${module_places[@]+"${module_places[@]}"} || module_fail "$gw_problem"
  for place in ${module_places[@]+"${module_places[@]}"}; do words+=(-b "$place:$place"); done
  exec ch-run ${words[@]+"${words[@]}"} -c "$PWD" "$gw_root" -- /bin/sh -c "$module_first" gateway-tool "$@"
}

# Becomes the command, in a container of Podman.
module_podman() {
  local place most words=(run --rm --interactive --env-host --network=host --security-opt=label=disable --log-driver=none)
  if [ -t 0 ] && [ -t 1 ]; then words+=(--tty); fi
  if [ "$EUID" -ne 0 ]; then
    words+=(--userns=keep-id --ulimit=host)
  else
    # Podman's own defaults for root may be more than what the machine lets a container set
    most=$(ulimit -Hu)
    case $most in unlimited) most=$(cat /proc/sys/kernel/pid_max) ;; esac
    if [ "$most" -gt "$(cat /proc/sys/kernel/pid_max)" ]; then most=$(cat /proc/sys/kernel/pid_max); fi
    words+=("--ulimit=nofile=$(ulimit -Sn):$(ulimit -Hn)" "--ulimit=nproc=$most:$most" --pids-limit=-1)
  fi
  for place in ${module_places[@]+"${module_places[@]}"} /tmp; do words+=(-v "$place:$place"); done
  gw_podman_available || module_fail "$gw_problem"
  exec podman --log-level error --runtime "$gw_podman_runtime" --cgroup-manager cgroupfs "${words[@]}" -w "$PWD" --rootfs "$pull_folder" \
    /bin/sh -c "$module_first" gateway-tool "$@"
}

# The program.
module_main() {
  local kind kinds folder=$1 program
  module_command=$2
  shift
  module_read "$folder"
  module_find_places
  gw_stop=''
  pull_metalink=''
  if [ -r "$folder/image.meta4" ]; then pull_metalink=$folder/image.meta4; fi
  pull_image "$module_cache" "$module_digest" "${module_sources[@]}" >&2 ||
    module_fail "the image of $module_name cannot be had: $pull_message"
  kinds=${module_runtimes[*]:-apptainer singularity charliecloud podman}
  for kind in $kinds; do
    program=$kind
    if [ "$kind" = charliecloud ]; then program=ch-run; fi
    command -v "$program" >/dev/null || continue
    case $kind in
      apptainer | singularity) module_apptainer "$kind" "$@" ;;
      charliecloud | podman)
        pull_unpack "$module_cache" "$pull_path" >&2 || module_fail "the image of $module_name: $pull_message"
        "module_$kind" "$@"
        ;;
    esac
  done
  module_fail "there is none of $kinds on PATH of ${HOSTNAME:-this node}"
}
