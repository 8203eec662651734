# shellcheck shell=bash
# The payload's surroundings, the same in every container runtime: first process, variables, signals, private folder.
# Every container starts `/bin/sh -c "$gw_payload_init" gateway-init NAMESPACE UMASK COMMAND...`, with
# $gw_payload_text as its standard input. So the variables stand in no argument list, reach no program outside of the
# container, and arrive as they are.

# The first process of the container, in the shell of the image. It starts the payload, passes TERM on to every process
# of the container, and ends with the payload's status; the kernel then ends the rest. (As first process of a PID
# namespace the payload itself would not notice TERM.) VTALRM, which no scheduler sends, has it kill them all, so that
# the status is still the payload's. Some sites forbid Apptainer PID namespaces: there (it is in NAMESPACE, the host's)
# only the process group is signalled, because "every process" would be all that the account has on the node.
# Variables: the image's, then ours, then those of the job's author. Apptainer reads the image's itself.
# shellcheck disable=SC2016
gw_payload_init='
gw_term= gw_seen= gw_end=0 gw_all=0
gw_signal() {
  gw_term=1
  trap "" TERM VTALRM
  kill "-$1" "$gw_all" 2>/dev/null
  trap "gw_signal TERM" TERM
  trap "gw_signal KILL" VTALRM
}
trap "gw_signal TERM" TERM
trap "gw_signal KILL" VTALRM
if [ "$$" -eq 1 ]; then
  gw_all=-1
else
  gw_here=$(readlink /proc/self/ns/pid)
  if [ -n "$1" ] && [ -n "$gw_here" ] && [ "$gw_here" != "$1" ]; then gw_all=-1; fi
fi 2>/dev/null
umask "$2"
shift 2
eval "set -- $(cat) \"\$@\""
(
  trap - INT QUIT
  if [ -z "$APPTAINER_CONTAINER$SINGULARITY_CONTAINER" ]; then
    for gw_file in /.singularity.d/env/10-docker2singularity.sh /.singularity.d/env/90-environment.sh; do
      if [ -r "$gw_file" ]; then . "$gw_file"; fi
    done
  fi
  exec env "$@" </dev/null
) &
gw_child=$!
if [ -n "$gw_term" ]; then gw_signal TERM; gw_term=; fi
while :; do
  gw_term=
  wait "$gw_child"
  gw_now=$?
  if [ "$gw_now" -eq 127 ] && [ -n "$gw_seen" ]; then break; fi
  gw_end=$gw_now gw_seen=1
  if [ -z "$gw_term" ]; then break; fi
done 2>/dev/null
exit "$gw_end"'

# What containers start with; an image may say otherwise.
gw_payload_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# Fill gw_env_words with NAME=VALUE words: what every payload has, what scheduler, MPI and GPUs need (by allow-list),
# then what the job's author asked for, which wins.
gw_payload_env() {
  local name i
  gw_env_words=(HOME=/job TMPDIR=/tmp "USER=$(gw_payload_user)")
  while IFS= read -r name; do
    case $name in
      PBS_JOBCOOKIE) ;; # opens the job to others
      PBS_* | SLURM_* | OMPI_* | PMI* | MPICH_* | I_MPI_* | UCX_* | FI_* | NCCL_* | OMP_* | NCPUS | \
        CUDA_VISIBLE_DEVICES | GPU_DEVICE_ORDINAL | NVIDIA_* | ROCR_* | HIP_VISIBLE_DEVICES | ZE_AFFINITY_MASK)
        gw_env_words+=("$name=${!name}")
        ;;
    esac
  done < <(compgen -e)
  for ((i = 0; i < ${#gw_env_names[@]}; i++)); do
    gw_env_words+=("${gw_env_names[i]}=${gw_env_values[i]}")
  done
}

# Print the account's name, or its number where it has none.
gw_payload_user() {
  id -un 2>/dev/null || id -u
}

# Fill gw_payload_words, what the container is to run, and gw_payload_text, its standard input.
gw_payload_prepare() {
  local word quote="'" escaped="'\\''"
  gw_payload_env
  gw_payload_text=''
  for word in "${gw_env_words[@]}"; do
    gw_payload_text+="'${word//$quote/$escaped}' "
  done
  gw_payload_words=(/bin/sh -c "$gw_payload_init" gateway-init "$(readlink /proc/self/ns/pid)" "$(umask)")
  # env would take a program's name with an equals sign for a variable
  case ${gw_command[0]} in *=*) gw_payload_words+=(/bin/sh -c 'exec "$@"' sh) ;; esac
  gw_payload_words+=("${gw_command[@]}")
}

# Whether the unpacked image $1 has what gw_payload_init needs; gw_problem says why not.
gw_payload_image_fits() {
  local name found file
  for name in sh env cat; do
    found=''
    for file in "$1/bin/$name" "$1/usr/bin/$name"; do
      if [ -e "$file" ] || [ -L "$file" ]; then found=yes; fi
    done
    if [ -z "$found" ]; then
      gw_problem="the image has no $name, and payloads are started with sh, env and cat"
      return 1
    fi
  done
}

# Whether programs $2... are on PATH; gw_problem says that runtime $1 needs the one that is not.
gw_payload_has() {
  local kind=$1 word
  shift
  for word in "$@"; do
    if ! command -v "$word" >/dev/null 2>&1; then
      gw_problem="$kind needs $word, which is not on PATH of ${HOSTNAME:-this node}"
      return 1
    fi
  done
}

# --- processes

# Whether process $1 is alive; one that nobody has waited for is not.
gw_payload_lives() {
  local line
  { IFS= read -r -d '' line <"/proc/$1/stat"; } 2>/dev/null
  [[ ${line-} == *') '* ]] || return 1
  case ${line##*) } in Z* | X* | x*) return 1 ;; esac
}

# Print the process ids of the children of process $1.
gw_children_of() {
  if [ -r "/proc/$1/task/$1/children" ]; then
    cat "/proc/$1/task/$1/children" 2>/dev/null
  else
    ps -o pid= --ppid "$1" 2>/dev/null
  fi
}

# Fill gw_descendants with what process $1 has started, parents first.
gw_payload_descendants() {
  local i child
  gw_descendants=("$1")
  for ((i = 0; i < ${#gw_descendants[@]}; i++)); do
    for child in $(gw_children_of "${gw_descendants[i]}"); do
      gw_descendants+=("$child")
    done
  done
  gw_descendants=("${gw_descendants[@]:1}")
}

# Whether process $1 runs gw_payload_init. (The runtime's own process has it among its arguments, further behind.)
gw_payload_is_init() {
  local words=() word
  while [ "${#words[@]}" -lt 4 ] && IFS= read -r -d '' word; do
    words+=("$word")
  done 2>/dev/null <"/proc/$1/cmdline"
  [ "${#words[@]}" -eq 4 ] && [ "${words[0]} ${words[1]} ${words[3]}" = '/bin/sh -c gateway-init' ]
} 2>/dev/null

# Set gw_init to the process id, on the host, of the container's first process; status 1 where there is none. It is
# what the runtime wrote to gw_payload_pidfile, or a descendant of the payload's process.
gw_payload_find_init() {
  local pid
  gw_init=''
  if [ -n "${gw_payload_pidfile-}" ]; then
    gw_descendants=()
    { IFS= read -r pid || [ -n "$pid" ]; } 2>/dev/null <"$gw_payload_pidfile" && gw_descendants=("$pid")
  else
    gw_payload_descendants "$gw_payload_pid"
  fi
  for pid in ${gw_descendants[@]+"${gw_descendants[@]}"}; do
    if gw_payload_lives "$pid" && gw_payload_is_init "$pid"; then
      gw_init=$pid
      return 0
    fi
  done
  return 1
}

# Status 0 while anything of the payload lives.
gw_payload_alive() {
  gw_payload_lives "$gw_payload_pid" || gw_payload_find_init
}

# Wait until nothing of the payload lives, at most $1 tenths of a second; status 0 then.
gw_payload_gone() {
  local tenths=$1
  while gw_payload_alive; do
    [ "$tenths" -gt 0 ] || return 1
    tenths=$((tenths - 1))
    sleep 0.1
  done
}

# Ask the payload to end, as soon as it has a first process to ask; after $1 seconds force it.
gw_payload_stop() {
  local tenths=$(($1 * 10)) asked=''
  while gw_payload_alive; do
    if [ -z "$asked" ] && gw_payload_find_init && kill -TERM "$gw_init" 2>/dev/null; then asked=yes; fi
    if [ "$tenths" -le 0 ]; then
      gw_payload_kill
      return
    fi
    tenths=$((tenths - 1))
    sleep 0.1
  done
}

# Force the payload's end: first the container's processes, so that the runtime may clear up, then the runtime's.
gw_payload_kill() {
  local signal
  for signal in VTALRM KILL; do
    if gw_payload_find_init; then
      kill "-$signal" "$gw_init" 2>/dev/null
      gw_payload_gone 20 && return 0
    fi
  done
  gw_payload_descendants "$gw_payload_pid"
  kill -KILL ${gw_descendants[@]+"${gw_descendants[@]}"} "$gw_payload_pid" 2>/dev/null
  kill -KILL -- "-$gw_payload_pid" 2>/dev/null
  gw_payload_gone 30
}

# --- a private folder on the node

# Make gw_payload_private, a folder of this attempt on the node (the path is short: sockets are made below), and
# remove those of attempts that were killed, with function $1 FOLDER. Status 1, and gw_problem: it cannot be made.
gw_payload_make_private() {
  local folder pid start place here
  here="$(uname -n) $(readlink /proc/self/ns/pid)"
  for folder in "/tmp/gw-$EUID."??????; do
    if [ ! -O "$folder" ] || [ -L "$folder" ] || [ ! -f "$folder/owner" ]; then continue; fi
    { read -r pid start _ && read -r place; } 2>/dev/null <"$folder/owner" || continue
    # only where its process would be seen: /tmp may be shared with other nodes or PID namespaces
    if [ "$place" = "$here" ] && ! gw_lives "$pid" "$start"; then "$1" "$folder"; fi
  done
  if ! gw_process $$ || ! folder=$(mktemp -d "/tmp/gw-$EUID.XXXXXX" 2>/dev/null); then
    gw_problem="no folder can be made in /tmp of ${HOSTNAME:-this node}"
    return 1
  fi
  gw_payload_private=$folder
  if ! printf '%s\n' "$$ $gw_start $gw_job $gw_attempt" "$here" >"$folder/.owner" ||
    ! mv -- "$folder/.owner" "$folder/owner"; then
    rm -rf -- "$folder"
    gw_problem="nothing can be written to /tmp of ${HOSTNAME:-this node}"
    return 1
  fi
}

# Set gw_payload_private, where another process of this attempt has made it; status 1 where there is none.
gw_payload_find_private() {
  local folder
  if [ -n "${gw_payload_private-}" ]; then return; fi
  for folder in "/tmp/gw-$EUID."??????; do
    if [ ! -O "$folder" ] || [ -L "$folder" ] || [ ! -f "$folder/owner" ]; then continue; fi
    case $(head -n 1 -- "$folder/owner") in *" $gw_job $gw_attempt") gw_payload_private=$folder && return 0 ;; esac
  done
  return 1
}
