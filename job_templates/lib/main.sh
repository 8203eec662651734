# shellcheck shell=bash
# The run of one attempt: claim, pull, prepare, payload, final pass, final record. Called as `gw_main "$@"`; with the
# argument `syncer` the same file is the syncer (sync.sh); with `task ID` it runs as a task of an array; with `node` or
# `rank` it is a part of a payload that has ranks (ranks.sh). Times are hundredths of a second of gw_clock.

# The whole script.
gw_main() {
  gw_umask=$(umask)
  umask 077
  set -u +e
  IFS=$' \t\n'
  gw_open_silence
  gw_host=$(uname -n)
  if [[ ${1-} == syncer ]]; then
    gw_sync_main
    exit
  fi
  case ${1-} in # processes of a payload that has ranks; both end by themselves
    node) gw_node_main ;;
    rank) gw_rank_main ;;
  esac
  gw_task=''
  if [[ ${1-} == task ]]; then gw_task=${2-}; fi
  gw_begin
  gw_take_claim
  gw_run_preamble
  gw_find_runtime || gw_not_started runtime_missing "${gw_problem:-no container runtime is configured}"
  gw_check_binds || gw_not_started runtime_missing "$gw_problem"
  gw_get_tools || gw_not_started image_pull_failed "$gw_problem"
  gw_get_image || gw_not_started image_pull_failed "$gw_problem"
  gw_enter_scratch
  gw_begin_tools || gw_not_started node_failed "$gw_problem"
  gw_begin_ranks || gw_not_started "$gw_reason" "$gw_problem"
  gw_look
  [[ -z $gw_stop ]] || gw_not_started "$gw_stop" ''
  gw_start_syncer
  gw_start_payload
  gw_wait_payload
  gw_judge
  gw_clear_tools
  gw_leave_scratch
  gw_finish_passes
  gw_conclude "$gw_outcome" "$gw_exit" "$gw_reason" "$gw_message"
}

# Sets the first values of everything, and the deadline: the payload must end `reserve` before the walltime is over.
gw_begin() {
  gw_stop='' gw_signalled='' gw_terminated='' gw_superseded='' gw_recorded='' gw_problem='' gw_id='' gw_token=''
  # its images are in use for as long as it can run
  pull_use_name=$gw_job.$gw_attempt pull_use_for=$((${gw_walltime%%.*} + 3600))
  gw_runtime='' gw_kind='' gw_claimed_at='' gw_payload_pid='' gw_payload_started_at='' gw_payload_ended_at=''
  gw_exit='' gw_outcome='' gw_reason='' gw_message='' gw_over='' gw_passes='' gw_manifest=false
  gw_syncer='' gw_wire='' gw_place=$gw_folder gw_pulling=0 gw_next_control=0 gw_next_claim=0
  gw_clock
  gw_end=$((gw_time + gw_walltime * 100))
  gw_hundredths "$gw_reserve" && gw_keep_time "$gw_number"
  gw_hundredths "$gw_kill_delay" && gw_kill_time=$gw_number
  gw_begin_beside
  gw_trap_signals
}

# Sets the deadline so that TIME is left for the final pass, at most half of the walltime.
gw_keep_time() {
  local time=$1
  if ((time > gw_walltime * 50)); then time=$((gw_walltime * 50)); fi
  gw_deadline=$((gw_end - time))
  gw_patience=$((time > 60000 ? time : 60000))
}

# Keeps more time for the final pass than was asked for, where the syncer has seen that it would take longer.
gw_heed_need() {
  local need=''
  { read -r need <"$gw_control/sync.need"; } 2>/dev/null
  if [[ ! $need =~ ^[1-9][0-9]{0,9}$ ]]; then need=0; fi
  gw_hundredths "$gw_reserve"
  gw_keep_time $((need > gw_number ? need : gw_number))
}

# The scheduler asks the script to end by any of these; some admins' preambles set traps of their own.
gw_trap_signals() {
  trap gw_on_signal TERM INT HUP USR1 USR2 XCPU
}

# Remembers a signal; what follows from it is done by the loops. It must stay this small: bash may run it in the middle
# of a `read -t`, and another `read` in here would take that one's timeout away.
gw_on_signal() {
  gw_signalled=yes
  : "${gw_stop:=terminated}"
}

# The first act: the claim. Only the run that holds it goes on; its streams go to script.log from here.
gw_take_claim() {
  gw_own_id || gw_give_up "the scheduler's id of this run is unknown ($gw_scheduler)" 78
  gw_claim
  case $gw_claimed in
    other) gw_give_up "yielded: $gw_claim_id holds the claim of this attempt" 0 ;;
    over) gw_give_up "yielded: an earlier run has brought this attempt to its end" 0 ;;
    failed) gw_give_up "the claim could not be made or read in $gw_control" 75 ;;
  esac
  exec >>"$gw_control/script.log" 2>&1 </dev/null
  gw_now
  gw_claimed_at=$gw_at
  trap gw_on_exit EXIT
  gw_status claimed "scheduler_id=$gw_id" "host=$gw_host"
  [[ $gw_claimed == first ]] || gw_say "the scheduler runs this attempt again; the earlier records were put aside"
  gw_keep_reserve || gw_not_started node_failed "there is no space for the final record"
}

# Ends a run that does not hold the claim: it leaves a line, and no record. Arguments: MESSAGE STATUS.
gw_give_up() {
  gw_say "$1"
  { gw_say "$1"; } 2>>"$gw_control/script.log"
  exit "$2"
}

# Runs the admin's preamble (module load …) in this shell, under the rules of an ordinary script.
gw_run_preamble() {
  if [[ -z $gw_preamble ]]; then return; fi
  set +u
  eval "$gw_preamble" || gw_say "the preamble ended with status $?"
  set -u +e +f +m
  [[ $LC_ALL == C ]] || gw_locale=$LC_ALL
  LC_ALL=C IFS=$' \t\n'
  umask 077
  gw_trap_signals
  trap gw_on_exit EXIT
}

# Looks around, as every loop does: signals, the word `stop`, the deadline, and whether another run took over.
gw_look() {
  gw_clock
  if ((gw_time >= gw_next_claim)); then
    gw_next_claim=$((gw_time + 1000))
    if ! gw_holds_claim; then gw_superseded=yes gw_stop=superseded; fi
  fi
  if [[ -n $gw_stop ]]; then return; fi
  if ((gw_time >= gw_next_control)); then
    gw_next_control=$((gw_time + 100))
    gw_count_word stop
    if ((gw_number > 0)); then : "${gw_stop:=cancelled_by_user}"; fi
    if [[ -n $gw_syncer ]]; then gw_heed_need; fi
  fi
  if ((gw_time >= gw_deadline)); then : "${gw_stop:=walltime}"; fi
}

# Sets gw_number to how often WORD stands in `control`. It is opened anew each time: file systems cache.
gw_count_word() {
  local word count=0
  while read -r word || [[ -n $word ]]; do
    if [[ $word == "$1" ]]; then count=$((count + 1)); fi
  done 2>/dev/null <"$gw_control/control"
  gw_number=$count
}

# --- runtime and image

# Sets gw_runtime to the first kind that this node can use (gw_kind is its part of function names); status 1: none.
gw_find_runtime() {
  local kind problems=''
  for kind in ${gw_runtimes[@]+"${gw_runtimes[@]}"}; do
    gw_kind=${kind//-/_} gw_problem='not known to this script'
    if declare -F "gw_${gw_kind}_available" >/dev/null && "gw_${gw_kind}_available"; then
      gw_runtime=$kind gw_problem=''
      return 0
    fi
    problems+="${problems:+; }$kind: $gw_problem"
  done
  gw_problem=$problems
  return 1
}

# Pulls and prepares the image. Status 1, and gw_problem: it could not be done.
gw_get_image() {
  local pull_metalink=$gw_control/${gw_metalink:-image.meta4} # this image's only
  [[ -r $pull_metalink ]] || pull_metalink=''
  if [[ -n $gw_image_ref ]]; then
    gw_look
    [[ -z $gw_stop ]] || return 1
    gw_status pulling bytes:=0 total:=0 source=
    pull_image "$gw_image_cache" "$gw_image_digest" "$gw_image_ref" \
      ${gw_image_mirrors[@]+"${gw_image_mirrors[@]}"} >>"$gw_control/pull.log" 2>&1 ||
      { gw_problem=$pull_message && return 1; }
    gw_status pulled "path=$pull_path" "bytes:=${pull_bytes:-0}" "cached:=${pull_cached:-false}"
  fi
  gw_problem=''
  "gw_${gw_kind}_prepare" "${pull_path-}" ||
    { gw_problem="$gw_runtime could not prepare the image: $gw_problem" && return 1; }
}

# Replaces the pull's own: it asks this in each of its loops, also where it has nothing to tell (a silent server, a
# digest, unpacking), and here the answer takes `control` and the deadline into account.
pull_stopping() {
  gw_look
  [[ -n $gw_stop ]]
}

# Called by the pull, about once a second. Arguments: BYTES TOTAL SOURCE.
pull_on_progress() {
  gw_look
  if ((gw_time < gw_pulling + 90)); then return; fi
  gw_pulling=$gw_time
  gw_status pulling "bytes:=${1:-0}" "total:=${2:-0}" "source=${3-}"
}

# Called while another process pulls the same image. Arguments: BYTES (of its download, so far).
pull_on_wait() {
  pull_on_progress "${1:-0}" 0 "another job's download"
}

# Called with each line for pull.log.
pull_on_log() {
  gw_now
  printf '%s %s\n' "$gw_at" "$*" >>"$gw_control/pull.log"
}

# --- scratch

# Moves to a folder of this job on the node's own disk, where the admin wants that and the node has it.
gw_enter_scratch() {
  local text=$gw_scratch name=''
  rm -f -- "$gw_control/scratch" # an earlier run's
  if [[ -z $text || -n $gw_stop ]]; then return; fi
  if ((gw_nodes > 1)); then
    gw_say "the job has several nodes, which do not share a scratch folder; running in place"
    return
  fi
  if [[ $text =~ ^\$\{([A-Za-z_][A-Za-z0-9_]*)\}(.*)$ || $text =~ ^\$([A-Za-z_][A-Za-z0-9_]*)(.*)$ ]]; then
    name=${BASH_REMATCH[1]} text=${BASH_REMATCH[2]}
    text=${!name:+${!name}$text}
  fi
  if [[ $text != /* || ! -d $text || ! -w $text ]]; then
    gw_say "there is no scratch folder $gw_scratch here (${text:-empty}); running in place"
    return
  fi
  text=${text%/}/$gw_job.$gw_attempt
  rm -rf -- "$text"
  if mkdir -- "$text" && cp -a -- "$gw_folder/." "$text/" &&
    printf '%s %s\n' "$gw_host" "$text" >"$gw_control/scratch"; then # where the results are until they are copied back
    gw_folder=$text
  else
    gw_say "the inputs could not be copied to $text; running in place"
    rm -rf -- "$text" "$gw_control/scratch"
  fi
}

# Copies the results back to the job's folder, where the gateway finds them.
gw_leave_scratch() {
  local copy status=0
  if [[ $gw_folder == "$gw_place" ]]; then return; fi
  cp -a -- "$gw_folder/." "$gw_place/" &
  copy=$!
  while kill -0 "$copy" 2>/dev/null; do
    gw_set_final_end
    gw_clock
    if ((gw_time > gw_number - 100)); then kill -KILL "$copy" 2>/dev/null; fi
    gw_pause 0.1
  done
  wait "$copy" || status=$?
  if ((status != 0)); then
    gw_message+="${gw_message:+; }not all results could be copied back from $gw_folder on $gw_host"
    gw_place=$gw_folder # nothing is removed
  else
    rm -f -- "$gw_control/scratch"
  fi
}

# --- passes

# Starts the syncer beside the payload, in a session of its own, because PBS signals every process of the job's. Words
# go to it through a pipe that is its standard input. Where nothing is pushed, it only watches over the script.
gw_start_syncer() {
  if ((${#gw_stores[@]} > 0)) && [[ ! -x $gw_rclone ]]; then
    gw_say "there is no rclone at '$gw_rclone'; nothing is pushed"
    return
  fi
  exec {gw_wire}<> <(:)
  gw_process $$
  BASH_ENV='' gw_sync_parent="$$ $gw_start" gw_sync_token=$gw_token gw_sync_folder=$gw_folder \
    gw_sync_runtime=$gw_kind setsid "$BASH" "$gw_control/job.sh" syncer <&"$gw_wire" &
  gw_syncer=$!
}

# Status 0 while the syncer lives.
gw_syncer_lives() {
  [[ -n $gw_syncer ]] && kill -0 "$gw_syncer" 2>/dev/null
}

# Sets gw_number to the time by which the final pass must be over.
gw_set_final_end() {
  local end=$((gw_end - 500)) other
  gw_clock
  if [[ $gw_stop == walltime ]]; then end=$((gw_end - 300)); fi
  other=$((gw_over + gw_patience))
  if ((other < end)); then end=$other; fi
  if ((end < gw_over + 100)); then end=$((gw_over + 100)); fi
  if [[ -n $gw_terminated ]]; then
    other=$((gw_terminated + gw_kill_time - 200))
    if ((other < end)); then end=$other; fi
    if ((end < gw_over + 100)); then end=$((gw_over + 100)); fi
  fi
  gw_number=$end
}

# Has the syncer make the final pass, and waits for it, no longer than there is time.
gw_finish_passes() {
  local end=0
  if ((${#gw_stores[@]} == 0)); then
    printf 'quit\n' >&"$gw_wire"
    return
  fi
  gw_status syncing
  gw_syncer_lives || gw_start_syncer
  while gw_syncer_lives; do
    gw_look
    if [[ -n $gw_superseded ]]; then gw_yield; fi
    gw_set_final_end
    if ((end == 0 || gw_number < end)); then
      end=$gw_number
      printf 'final %s\n' "$end" >&"$gw_wire"
    fi
    if ((gw_time > end + 100)); then
      gw_say "the final pass did not end in time"
      kill -KILL "$gw_syncer" 2>/dev/null
    fi
    gw_pause 0.1
  done
  gw_read_passes
}

# Reads what the syncer left about the stores into gw_passes and gw_manifest.
gw_read_passes() {
  local index word status states=() statuses=()
  while read -r index word status; do
    case $index in
      manifest) gw_manifest=true ;;
      *[!0-9]* | '') ;;
      *) states[index]=$word statuses[index]=$status ;;
    esac
  done 2>/dev/null <"$gw_control/sync.result"
  for ((index = 0; index < ${#gw_stores[@]}; index++)); do
    gw_json "${gw_stores[index]}"
    gw_passes+="${gw_passes:+,}{\"store\":$gw_text,\"state\":\"${states[index]:-failed}\""
    gw_passes+=",\"exit_status\":${statuses[index]:-null}}"
  done
}

# --- ends

# Ends an attempt whose payload was never started. Arguments: REASON MESSAGE. A stop that was asked for counts more.
gw_not_started() {
  if [[ -n $gw_superseded ]]; then gw_yield; fi
  if [[ -n $gw_stop ]]; then
    gw_conclude not_started '' "$gw_stop" "the job was stopped before its payload was started"
  fi
  gw_conclude not_started '' "$1" "$2"
}

# Ends a run that another run of the same scheduler id has replaced: the records are not ours any more.
gw_yield() {
  gw_recorded=yes
  gw_say "superseded: another run holds the claim of this attempt"
  if [[ -n $gw_syncer ]]; then printf 'quit\n' >&"$gw_wire"; fi
  exit 0
}

# Writes the final record and ends the script. Arguments: those of gw_final_record.
gw_conclude() {
  if ! gw_holds_claim; then gw_yield; fi
  gw_recorded=yes
  # The scheduler may run a terminated job again, and then they are needed; the gateway removes them once all is settled.
  if [[ $gw_stop != terminated ]]; then rm -f -- "$gw_control/credentials"; fi
  if [[ $gw_folder != "$gw_place" ]]; then rm -rf -- "$gw_folder"; fi
  if [[ -n $gw_image_cache ]]; then pull_release "$gw_image_cache" "$pull_use_name"; fi
  gw_status ended
  gw_final_record "$@"
  exit "${2:-1}"
}

# Runs at the script's end: an end that nobody foresaw is recorded too.
gw_on_exit() {
  local status=$?
  trap - EXIT
  if [[ -n $gw_recorded ]]; then return; fi
  gw_say "the script ended unexpectedly (status $status)"
  gw_outcome=not_started
  if [[ -n $gw_payload_pid ]]; then
    gw_outcome=stopped
    gw_end_beside
    gw_end_payload
  fi
  if gw_syncer_lives; then printf 'quit\n' >&"$gw_wire"; fi
  if gw_holds_claim; then
    gw_final_record "$gw_outcome" "$gw_exit" node_failed "the script on the node ended unexpectedly (status $status)"
  fi
  exit 1
}
