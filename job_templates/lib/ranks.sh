# shellcheck shell=bash
# Many processes of one payload, on one node or several: srun or mpirun starts `job.sh rank` for each of them, outside
# of all containers, and each becomes a container of its own with the same /job. The script, its claim, the syncer and
# the records stay on the first node. For the rest of the script all of it is one more runtime, `ranks`.

# Where the payload has ranks: has every node get the image, and makes `ranks` the runtime. Status 1, with gw_reason
# and gw_problem: it cannot be done.
gw_begin_ranks() {
  local image=${pull_path-}
  if [[ $gw_launcher == none ]]; then return 0; fi
  gw_reason=runtime_missing
  if ! command -v "$gw_launcher" >/dev/null 2>&1; then
    gw_problem="there is no $gw_launcher on PATH of $gw_host"
    return 1
  fi
  image=${image#"$gw_image_cache"/} # on another node the cache may have another place
  printf 'token=%s\nkind=%s\nimage=%s\n' "$gw_token" "$gw_kind" "$image" >"$gw_control/launch.part" &&
    mv -fT -- "$gw_control/launch.part" "$gw_control/launch"
  gw_reason=image_pull_failed
  if ((gw_nodes > 1)) && ! gw_prepare_nodes; then return 1; fi
  gw_reason='' gw_kind=ranks
}

# Runs `job.sh node` on every node, and waits for that. A shared cache has the image already, others get it now.
gw_prepare_nodes() {
  local words pid line
  if command -v srun >/dev/null 2>&1 && [[ -n ${SLURM_JOB_ID-} ]]; then
    words=(srun "--nodes=$gw_nodes" "--ntasks=$gw_nodes" --ntasks-per-node=1 --mpi=none --input=none
      --kill-on-bad-exit=1)
  elif command -v pbsdsh >/dev/null 2>&1; then
    words=(pbsdsh --)
  else
    gw_say "neither srun nor pbsdsh is here: the other nodes need a cache that they share with this one"
    return 0
  fi
  "${words[@]}" "$BASH" "$gw_control/job.sh" node >"$gw_control/nodes.log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    gw_look
    if [[ -n $gw_stop ]]; then kill -TERM "$pid" 2>/dev/null; fi
    gw_pause 0.2
  done
  if wait "$pid"; then return 0; fi
  gw_problem="the image could not be brought to every node"
  while IFS= read -r line; do
    case $line in 'gateway: '*) gw_problem+="; ${line#gateway: }" && break ;; esac
  done <"$gw_control/nodes.log"
  return 1
}

# Sets gw_token, gw_kind and gw_rank_image to what the script on the first node found. Status 1: it does not say.
gw_read_launch() {
  local line
  gw_kind='' gw_rank_image=''
  while IFS= read -r line; do
    case $line in
      token=*) gw_token=${line#*=} ;;
      kind=*) gw_kind=${line#*=} ;;
      image=*) gw_rank_image=${line#*=} ;;
    esac
  done 2>/dev/null <"$gw_control/launch"
  [[ -n $gw_kind ]]
}

# shellcheck disable=SC2329
# What `node` and `rank` have in common: they belong to the run that holds the claim, and write no records.
gw_join() {
  gw_begin
  gw_recorded=yes
  gw_status() { :; }
  if ! gw_read_launch || ! gw_holds_claim; then
    gw_tell_problem "another run holds the claim of this attempt"
    exit 75
  fi
  gw_run_preamble >/dev/null
  "gw_${gw_kind}_available" && gw_check_binds && return
  gw_tell_problem "$gw_kind: $gw_problem"
  exit 126
}

# Prints one sentence with the node's name, where the script on the first node or the payload's reader finds it.
gw_tell_problem() {
  printf 'gateway: %s: %s\n' "$gw_host" "$1" >&2
}

# shellcheck disable=SC2329
# `job.sh node`: brings the image to this node.
gw_node_main() {
  gw_join
  pull_on_progress() { gw_look; }
  gw_get_image && exit
  gw_tell_problem "$gw_problem"
  exit 1
}

# `job.sh rank`: one process of the payload. It ends with its payload's status, and has it end when it is told to.
gw_rank_main() {
  local asked=''
  gw_join
  if [[ -n $gw_rank_image && $gw_rank_image != /* ]]; then gw_rank_image=$gw_image_cache/$gw_rank_image; fi
  gw_kill_time=360000                     # who asks it to end also knows how much time there is
  gw_attempt=$gw_attempt-rank-$gw_host-$$ # by it the ranks of a node are told apart
  gw_kept_descriptor=${PMI_FD-}           # by it a rank speaks to srun or mpirun
  if ! "gw_${gw_kind}_prepare" "$gw_rank_image"; then
    gw_tell_problem "$gw_kind: $gw_problem"
    exit 126
  fi
  set -m
  (gw_payload) </dev/null &
  gw_payload_pid=$!
  set +m
  while kill -0 "$gw_payload_pid" 2>/dev/null; do
    if [[ -z $asked ]] && gw_rank_must_end; then
      asked=yes
      gw_set_grace
      "gw_${gw_kind}_stop" $(((gw_number + 50) / 100)) &
    fi
    gw_pause 0.2
  done
  wait "$gw_payload_pid"
  gw_exit=$?
  if "gw_${gw_kind}_alive"; then "gw_${gw_kind}_stop" 2; fi
  exit "$gw_exit"
}

# Status 0 when the script on the first node, or a signal, wants the payload's end. Launchers and schedulers signal
# every process of a rank at once, and a container's first programs would be gone before it: so the script writes a word.
gw_rank_must_end() {
  local line
  [[ -z $gw_signalled ]] || return 0
  gw_clock
  if ((gw_time < gw_next_control)); then return 1; fi
  gw_next_control=$((gw_time + 100))
  while IFS= read -r line; do
    if [[ $line == stop ]]; then return 0; fi
  done 2>/dev/null <"$gw_control/launch"
  return 1
}

# --- the runtime `ranks`

# Status 0: it is chosen only where it can be used.
gw_ranks_available() {
  return 0
}

# Becomes srun or mpirun. A rank that fails ends the others.
gw_ranks_run() {
  local count=$((gw_nodes * gw_tasks_per_node)) rank=("$BASH" "$gw_control/job.sh" rank)
  case $gw_launcher in
    srun)
      exec srun "--nodes=$gw_nodes" "--ntasks=$count" "--ntasks-per-node=$gw_tasks_per_node" \
        ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"} --input=none --kill-on-bad-exit=1 "${rank[@]}"
      ;;
    mpirun) exec mpirun -n "$count" "${rank[@]}" ;;
  esac
}

# Asks all ranks to end, and forces them after SECONDS: TERM makes both launchers kill.
gw_ranks_stop() {
  local end
  gw_clock
  end=$((gw_time + $1 * 100))
  printf 'stop\n' >>"$gw_control/launch"
  while gw_payload_lives "$gw_payload_pid" && ((gw_time < end + 500)); do
    if ((gw_time >= end + 300)); then
      kill -KILL -- "-$gw_payload_pid" 2>/dev/null
    elif ((gw_time >= end)); then
      kill -TERM "$gw_payload_pid" 2>/dev/null
    fi
    gw_pause 0.2
    gw_clock
  done
}

# Status 0 while the launcher lives.
gw_ranks_alive() {
  gw_payload_lives "$gw_payload_pid"
}
