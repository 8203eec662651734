# shellcheck shell=bash
# The payload's surroundings, the same in every container runtime: variables, signals, process trees.
# Reads gw_env_names, gw_env_values (docs/job-folder.md).

# Fill gw_env_words with NAME=VALUE words: what every payload has, what scheduler, MPI and GPU
# need (by allow-list), then what the job's author asked for, which wins.
gw_payload_env() {
  local name i
  gw_env_words=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    "HOME=$1" "TMPDIR=/tmp" "USER=$(id -un 2>/dev/null || id -u)" "LANG=C.UTF-8")
  while IFS= read -r name; do
    case $name in
      PBS_* | SLURM_* | OMPI_* | PMI_* | PMIX_* | CUDA_VISIBLE_DEVICES | NVIDIA_* | ROCR_* | OMP_*)
        gw_env_words+=("$name=${!name}") ;;
    esac
  done < <(compgen -e)
  for ((i = 0; i < ${#gw_env_names[@]}; i++)); do
    gw_env_words+=("${gw_env_names[i]}=${gw_env_values[i]}")
  done
}

# Print the process ids of the children of process $1.
gw_children_of() {
  if [ -r "/proc/$1/task/$1/children" ]; then
    cat "/proc/$1/task/$1/children" 2>/dev/null
  else
    ps -o pid= --ppid "$1" 2>/dev/null
  fi
}

# Wait until the payload's process is gone, at most $1 seconds; status 0 when it is.
gw_payload_gone() {
  local tenths=$(($1 * 10))
  while kill -0 "$gw_payload_pid" 2>/dev/null; do
    [ "$tenths" -gt 0 ] || return 1
    tenths=$((tenths - 1))
    sleep 0.1
  done
  return 0
}

# Force the end of everything in the payload's process group.
gw_payload_kill() {
  kill -KILL -- "-$gw_payload_pid" 2>/dev/null || kill -KILL "$gw_payload_pid" 2>/dev/null
  gw_payload_gone 5
}
