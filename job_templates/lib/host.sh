# shellcheck shell=bash
# The pseudo runtime of `image: null`: the payload is a process of the node, with the account's own rights.
# Its processes are those of its process group, those that carry its mark in their environment, and their descendants.

# Status 0: every node can do this. Whether a job may is decided by the gateway.
gw_host_available() {
  return 0
}

# Nothing to prepare.
gw_host_prepare() {
  gw_root=/
}

# Becomes the payload: called in a shell of its own, whose environment is already clean. Status: the payload's.
gw_host_run() {
  local gw_i
  cd -- "$gw_folder" || exit 126
  for gw_i in $(compgen -e); do
    case $gw_i in # what only container runtimes need
      XDG_RUNTIME_DIR | DBUS_SESSION_BUS_ADDRESS | DOCKER_HOST | APPTAINER_* | SINGULARITY_* | CH_*) export -n "${gw_i?}" ;;
    esac
  done
  export HOME=$gw_folder GATEWAY_PAYLOAD="$gw_job.$gw_attempt"
  for ((gw_i = 0; gw_i < ${#gw_env_names[@]}; gw_i++)); do
    # bash gives some names (RANDOM, SECONDS) values of its own until they are unset
    unset -v "${gw_env_names[gw_i]}" 2>/dev/null
    export "${gw_env_names[gw_i]}=${gw_env_values[gw_i]}"
  done
  exec -- "${gw_command[@]}"
}

# Sets gw_pids to the payload's living processes. The first of all comes first: killed after its children, it could see
# them end, and end as if it had succeeded.
gw_host_pids() {
  local file line fields pid grown
  local -A parent=() found=()
  gw_pids=()
  while IFS= read -r file; do
    file=${file#/proc/}
    found[${file%%/*}]=1
  done < <(grep -lszxF -e "GATEWAY_PAYLOAD=$gw_job.$gw_attempt" /proc/[0-9]*/environ 2>/dev/null)
  for file in /proc/[0-9]*/stat; do
    line=''
    { IFS= read -r -d '' line <"$file"; } 2>/dev/null # all of it: a process's name may hold a line break
    [[ $line == *') '* ]] || continue
    pid=${line%% *}
    IFS=' ' read -r -a fields <<<"${line##*) }"
    if [[ ${fields[0]} == [ZXx] ]]; then
      unset -v "found[$pid]"
      continue
    fi
    parent[$pid]=${fields[1]}
    [[ ${fields[2]} != "${gw_payload_pid:-none}" ]] || found[$pid]=1
  done
  grown=yes
  while [[ -n $grown ]]; do
    grown=''
    for pid in "${!parent[@]}"; do
      if [[ -z ${found[$pid]-} && -n ${found[${parent[$pid]}]-} ]]; then found[$pid]=1 grown=yes; fi
    done
  done
  pid=${gw_payload_pid:-none}
  [[ -z ${found[$pid]-} || -z ${parent[$pid]-} ]] || gw_pids=("$pid")
  for pid in ${found[@]+"${!found[@]}"}; do
    [[ -z ${parent[$pid]-} || $pid == "${gw_pids[0]-}" ]] || gw_pids+=("$pid")
  done
}

# Status 0 while anything of the payload lives.
gw_host_alive() {
  gw_host_pids
  ((${#gw_pids[@]} > 0))
}

# Asks the payload to end, and forces it after SECONDS.
gw_host_stop() {
  local gw_end gw_sent=''
  gw_clock
  gw_hundredths "$1"
  gw_end=$((gw_time + gw_number))
  while gw_host_alive && ((gw_time < gw_end + 500)); do
    if ((gw_time >= gw_end)); then
      kill -KILL "${gw_pids[@]}" 2>/dev/null
    elif [[ -z $gw_sent ]]; then
      kill -TERM "${gw_pids[@]}" 2>/dev/null
      kill -CONT "${gw_pids[@]}" 2>/dev/null # a stopped process would never see the TERM
      gw_sent=yes
    fi
    gw_pause 0.1
    gw_clock
  done
  ((${#gw_pids[@]} == 0))
}
