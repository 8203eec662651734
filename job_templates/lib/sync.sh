# shellcheck shell=bash
# The syncer: the process that runs all passes of an attempt, one after another, from the job's folder to the stores.
# It lives in a session of its own, ignores signals, and ends by itself: after the final pass, when another run took
# over, and within seconds of the script's death. Its rclone never outlives it.
#
# It scans what the transfers want (sync_scan.sh), sends what is not in the stores (sync_pass.sh, sync_follow.sh) by an
# rclone under watch (sync_rclone.sh), and in the end all there is (sync_final.sh).
#
# Words on its standard input: `final END` (make the final pass; be over by END, a time of gw_clock; an earlier END may
# follow), `payload PID` (its process group), `beside PID` (that of what runs beside it), `quit`. Variables from the
# script's process: gw_sync_parent, gw_sync_token, gw_sync_folder, gw_sync_runtime.

# The whole syncer.
gw_sync_main() {
  trap '' TERM INT HUP QUIT USR1 USR2 XCPU
  if ((${#gw_stores[@]} == 0)); then
    gw_sync_watch
    return
  fi
  gw_sync_begin
  gw_sync_state idle
  while [[ -z $gw_order ]]; do
    gw_sync_tick 1
    if [[ -n $gw_order ]]; then break; fi
    if ((gw_wanted > gw_served)); then
      gw_served=$gw_wanted
      gw_sync_pass full
    elif [[ -n $gw_sync_interval ]] && ((gw_time >= gw_next_pass)); then
      gw_sync_pass background
    fi
  done
  if [[ $gw_order == final ]]; then gw_sync_final; fi
  case $gw_order in
    quit) gw_sync_state failed ;;
    died) gw_sync_mourn ;;
  esac
  rm -rf -- "$gw_lists"
  exec {gw_log}>&-
}

# All that there is to do where nothing is pushed: ends what is left of the payload when the script dies.
gw_sync_watch() {
  export -n gw_sync_parent gw_sync_token gw_sync_folder gw_sync_runtime
  gw_token=$gw_sync_token gw_folder=$gw_sync_folder gw_kind=$gw_sync_runtime
  gw_order='' gw_heard='' gw_next_watch=0 gw_payload_pid='' gw_beside_pid=''
  exec {gw_log}>/dev/null
  while [[ -z $gw_order ]]; do gw_sync_tick 1; done
  if [[ $gw_order == died ]]; then gw_sync_mourn; fi
}

# Sets the first values; opens the log.
gw_sync_begin() {
  local name
  export -n gw_sync_parent gw_sync_token gw_sync_folder gw_sync_runtime
  for name in "${!RCLONE_@}"; do unset -v "$name"; done
  gw_token=$gw_sync_token gw_folder=$gw_sync_folder gw_kind=$gw_sync_runtime
  gw_order='' gw_heard='' gw_final_end=0 gw_next_watch=0 gw_next_pass=0 gw_wanted=0 gw_served=0 gw_passes_made=0
  gw_failures=0 gw_manifest_written='' gw_compared='' gw_final_run='' gw_payload_pid='' gw_beside_pid=''
  gw_names=() gw_values=() gw_guard=()
  gw_next_tell=0 gw_scan_time=0 gw_next_late=0 gw_byte_rate=0 gw_file_rate=0 gw_need=0 gw_sync_shown='' gw_gentle=()
  gw_looked=() gw_pass_exits=() gw_backlog_files=() gw_backlog_bytes=() gw_backlog_oldest=() gw_followed_bytes=()
  gw_end_files=() gw_end_bytes=()
  declare -gA gw_followed=()
  gw_hundredths "$gw_sync_settle" && gw_settle=$gw_number
  gw_sync_make_lists
  gw_physical=$(cd -P -- "$gw_folder" && pwd -P)
  gw_clock
  if setpriv --pdeathsig KILL true 2>/dev/null; then gw_guard=(setpriv --pdeathsig KILL); fi
  if nice -n 10 true 2>/dev/null; then gw_gentle=(nice -n 10); fi
  if ionice -c 2 -n 7 true 2>/dev/null; then gw_gentle+=(ionice -c 2 -n 7); fi
  gw_sync_open_log
}

# Opens sync.jsonl by way of a filter: rclone's errors name addresses, and a signed address is a secret.
gw_sync_open_log() {
  local line=(sed -u) names='sig|signature|x-amz-[a-z-]*|[a-z_]*token|[a-z_]*key[a-z_]*|password|pass|secret'
  if command -v stdbuf >/dev/null; then line=(stdbuf -oL sed); fi
  exec {gw_log}> >(exec "${line[@]}" -E "s/(^|[^a-z]|u0026)($names)(=|%3D)[^&\"\\\\ ]*/\\1\\2\\3(hidden)/Ig" \
    >>"$gw_control/sync.jsonl" 2>/dev/null)
}

# Appends a word to sync.state, unless another run took over.
gw_sync_state() {
  if gw_holds_claim; then printf '%s\n' "$1" >>"$gw_control/sync.state"; fi
}

# Waits SECONDS for a word of the script; once a second looks whether the script lives, and at `control`. Sets
# gw_order to final, quit or died.
gw_sync_tick() {
  local text='' parent
  if IFS= read -r -t "$1" text; then
    gw_sync_hear "$gw_heard$text"
    gw_heard=''
  elif (($? > 128)); then
    gw_heard+=$text # the time was over in the middle of a word: on a busy node that happens
  else
    gw_pause "$1" # standard input is not the script's pipe
  fi
  gw_clock
  if ((gw_time < gw_next_watch)); then return; fi
  gw_next_watch=$((gw_time + 100))
  read -r -a parent <<<"$gw_sync_parent"
  if ! gw_lives "${parent[0]}" "${parent[1]}"; then gw_order=died; fi
  gw_count_word sync
  gw_wanted=$gw_number
}

# Takes in a line of the script's.
gw_sync_hear() {
  local word='' value=''
  read -r word value <<<"$1"
  case $word in
    final) gw_order=final gw_final_end=$value ;;
    payload) gw_payload_pid=$value ;;
    beside) gw_beside_pid=$value ;;
    quit) gw_order=quit ;;
  esac
}

# What is left to do after the script's death: say so, and end what is left of the payload, which nobody else may do
# (a container is not in the scheduler's session). It takes no longer than three seconds.
gw_sync_mourn() {
  local end stopper text
  gw_sync_state died
  while IFS= read -r -t 0.2 text; do # what the script has said, and nobody has heard
    gw_sync_hear "$gw_heard$text"
    gw_heard=''
  done
  if [[ -z $gw_payload_pid ]]; then return; fi
  (
    exec {gw_log}>&-
    "gw_${gw_kind}_available"
    if [[ -n $gw_beside_pid ]]; then (gw_force_beside) & fi
    "gw_${gw_kind}_stop" 1
    wait
  ) >>"$gw_control/script.log" 2>&1 &
  stopper=$!
  gw_clock
  end=$((gw_time + 250))
  while kill -0 "$stopper" 2>/dev/null && ((gw_time < end)); do
    gw_pause 0.1
    gw_clock
  done
  # Where the node is too busy for that, what can be reached by a signal must not go on all the same.
  if kill -KILL "$stopper" 2>/dev/null; then
    kill -KILL -- "-$gw_payload_pid" ${gw_beside_pid:+"-$gw_beside_pid"}
  fi 2>/dev/null
}
