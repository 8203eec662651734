# shellcheck shell=bash
# The syncer: the process that runs all passes of an attempt, one after another, from the job's folder to the stores.
# It lives in a session of its own, ignores signals, and ends by itself: after the final pass, when another run took
# over, and within seconds of the script's death. Its rclone never outlives it.
#
# Words on its standard input: `final END` (make the final pass; be over by END, a time of gw_clock; an earlier END may
# follow), `payload PID` (its process group), `beside PID` (that of what runs beside it), `quit`. Variables from the script's process: gw_sync_parent,
# gw_sync_token, gw_sync_folder, gw_sync_runtime.

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
  gw_order='' gw_heard='' gw_final_end=0 gw_next_watch=0 gw_next_pass=0 gw_wanted=0 gw_served=0 gw_passes_made=0 gw_failures=0
  gw_manifest_written='' gw_last_good='' gw_final_run='' gw_payload_pid='' gw_beside_pid='' gw_names=() gw_values=() gw_guard=()
  gw_hundredths "$gw_sync_settle" && gw_settle=$gw_number
  gw_physical=$(cd -P -- "$gw_folder" && pwd -P)
  gw_clock
  if setpriv --pdeathsig KILL true 2>/dev/null; then gw_guard=(setpriv --pdeathsig KILL); fi
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
  local text='' word='' value='' parent
  if IFS= read -r -t "$1" text; then
    read -r word value <<<"$gw_heard$text"
    gw_heard=''
    case $word in
      final) gw_order=final gw_final_end=$value ;;
      payload) gw_payload_pid=$value ;;
      beside) gw_beside_pid=$value ;;
      quit) gw_order=quit ;;
    esac
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

# --- one rclone

# Parses the credentials anew: the gateway renews them. Their values stay in this shell and in rclone's environment.
gw_sync_credentials() {
  local line
  gw_names=() gw_values=()
  while IFS= read -r line || [[ -n $line ]]; do
    if [[ $line =~ ^(RCLONE_CONFIG_S[0-9]+_[A-Z0-9_]+)=(.*)$ ]]; then
      gw_names+=("${BASH_REMATCH[1]}") gw_values+=("${BASH_REMATCH[2]}")
    fi
  done 2>/dev/null <"$gw_control/credentials"
}

# Becomes rclone. Arguments: rclone's. Called in a shell of its own.
gw_sync_exec() {
  local i
  trap - TERM INT
  for ((i = 0; i < ${#gw_names[@]}; i++)); do export "${gw_names[i]}=${gw_values[i]}"; done
  # Bounds of memory; as variables, because an older rclone does not know all of them.
  export RCLONE_MAX_BUFFER_MEMORY=64M RCLONE_AZUREBLOB_UPLOAD_CONCURRENCY=4 RCLONE_S3_UPLOAD_CONCURRENCY=4
  export RCLONE_CONFIG=/dev/null
  cd / || exit 1
  exec ${gw_guard[@]+"${gw_guard[@]}"} "$gw_rclone" "$@"
}

# Runs rclone, at most until LIMIT (a time; 0: no limit), and no longer than the script lives. Sets gw_exit.
# Arguments: LIMIT OUTPUT RCLONE'S ARGUMENTS
gw_sync_rclone() {
  local limit=$1 output=$2 child watcher='' ending=0
  shift 2
  (gw_sync_exec "$@") </dev/null >"$output" 2>&"$gw_log" &
  child=$!
  if ((${#gw_guard[@]} == 0)); then
    gw_sync_guard "$child" &
    watcher=$!
  fi
  while kill -0 "$child" 2>/dev/null; do
    gw_sync_tick 0.1
    if ((ending && gw_time >= ending)); then
      kill -KILL "$child" 2>/dev/null
    elif ((!ending)) && gw_sync_must_end "$limit"; then
      kill -TERM "$child" 2>/dev/null
      ending=$((gw_time + 50))
    fi
  done
  wait "$child" 2>/dev/null
  gw_exit=$?
  if [[ -n $watcher ]]; then
    kill -KILL "$watcher" 2>/dev/null
    wait "$watcher" 2>/dev/null
  fi
}

# Status 0 when the running rclone must end: its LIMIT, the script's end, or the final pass, which lets an upload of
# the background pass go on for a moment where there is time.
gw_sync_must_end() {
  local left
  case $gw_order in
    died | quit) return 0 ;;
    final)
      if [[ -n $gw_final_run ]]; then
        (($1 > 0 && gw_time >= $1)) || ((gw_time >= gw_final_end - 20))
        return
      fi
      left=$(((gw_final_end - gw_time) / 4))
      if ((left > 500)); then left=500; fi
      : "${gw_patience_end:=$((gw_time + left))}"
      ((gw_time >= gw_patience_end))
      return
      ;;
  esac
  (($1 > 0 && gw_time >= $1))
}

# Kills CHILD when this syncer dies, where setpriv cannot arrange that.
gw_sync_guard() {
  local syncer=$$ start
  exec {gw_log}>&- </dev/null
  gw_process "$syncer"
  start=$gw_start
  while gw_process "$1"; do
    if ! gw_lives "$syncer" "$start"; then
      kill -KILL "$1"
      return
    fi
    gw_pause 0.5
  done
}

# --- passes

# Sets gw_source to the real folder of transfer N; status 1 where it does not exist (yet), or the payload has put a
# symbolic link in its place, which must not be followed.
gw_sync_source() {
  local below=${gw_transfer_source[$1]} real
  gw_source=$gw_physical${below:+/$below}
  real=$(cd -P -- "$gw_source" 2>/dev/null && pwd -P && printf .) || return 1
  [[ $real == "$gw_source"$'\n.' ]]
}

# Copies transfer N. Sets gw_exit (0 where there is nothing to do). Arguments: N KIND LIMIT
# KIND: `background` (what changed lately and has settled), `full` (all that has settled), `final` (everything).
gw_sync_transfer() {
  local filter=$gw_control/filter.$1.running args=() line began
  if [[ $2 == final ]]; then filter=$gw_control/filter.$1.final; fi
  gw_exit=0
  gw_clock
  if [[ ! -s $filter ]] || ! gw_sync_source "$1"; then return; fi
  began=$gw_time
  args=(copy "$gw_source" "${gw_transfer_destination[$1]}" --filter-from "$filter" --use-json-log -v --stats 0
    --retries 1 --low-level-retries 2 --contimeout 10s --timeout 60s --transfers 4 --checkers 8 --buffer-size 4M
    --no-update-dir-modtime --skip-links --local-encoding Raw --no-unicode-normalization)
  if [[ $2 != final ]]; then args+=(--min-age "$((gw_settle * 10))ms"); fi
  if [[ $2 == background ]]; then
    args+=(--no-traverse --max-age "$(((gw_time - gw_last_good + gw_settle) * 10 + 10000))ms")
  else
    args+=(--fast-list)
  fi
  if [[ -n ${gw_transfer_type[$1]} ]]; then args+=(--header-upload "Content-Type: ${gw_transfer_type[$1]}"); fi
  if [[ -n ${gw_transfer_args[$1]} ]]; then
    while IFS= read -r line; do args+=("$line"); done <<<"${gw_transfer_args[$1]}"
  fi
  printf '{"begin":%d,"pass":%d}\n' "$1" "$gw_passes_made" >&"$gw_log" # whose rclone's lines are that follow
  gw_sync_rclone "$3" /dev/null "${args[@]}"
  gw_sync_note "$1" "$2" "$began"
}

# Writes the syncer's own line about a transfer. Arguments: N KIND BEGAN
gw_sync_note() {
  local store source
  gw_clock
  gw_now
  gw_json "${gw_stores[${gw_transfer_store[$1]}]}" && store=$gw_text
  gw_json "${gw_transfer_source[$1]}" && source=$gw_text
  printf '{"pass":%d,"kind":"%s","at":"%s","store":%s,"source":%s,"exit_status":%d,"seconds":%d.%02d}\n' \
    "$gw_passes_made" "$2" "$gw_at" "$store" "$source" "$gw_exit" \
    $(((gw_time - $3) / 100)) $(((gw_time - $3) % 100)) >&"$gw_log"
}

# Makes a pass while the payload runs. The first, every tenth and one after trouble look at everything, the others
# only at what changed since the last good one. Arguments: KIND
gw_sync_pass() {
  local kind=$1 n began failed='' incomplete='' pause
  if ! gw_holds_claim; then gw_order=quit && return; fi
  if [[ -z $gw_last_good ]] || ((gw_passes_made % 10 == 0)); then kind=full; fi
  gw_passes_made=$((gw_passes_made + 1))
  gw_sync_state pass
  gw_sync_credentials
  gw_clock
  began=$gw_time
  for ((n = 0; n < ${#gw_transfer_store[@]}; n++)); do
    gw_sync_transfer "$n" "$kind" 0
    if [[ -n $gw_order ]]; then return; fi
    case $gw_exit in
      0) ;;
      6) incomplete=yes ;; # a file grew while it was read; the store itself is well
      *) failed=yes ;;
    esac
  done
  if [[ -z $failed$incomplete ]]; then gw_last_good=$began; fi
  gw_clock
  if [[ -n $failed ]]; then
    gw_failures=$((gw_failures < 6 ? gw_failures + 1 : 6))
    pause=$((100 << gw_failures))
    gw_next_pass=$((gw_time + (pause < 6000 ? pause : 6000)))
  else
    gw_failures=0
    gw_hundredths "${gw_sync_interval:-0}"
    gw_next_pass=$((began + gw_number > gw_time ? began + gw_number : gw_time))
  fi
  gw_sync_state idle
}

# Makes the final pass, again and again until all transfers are done or the time is over, and writes the results.
gw_sync_final() {
  local n delay=50 failed=yes
  gw_final_run=yes gw_statuses=()
  gw_sync_state final
  gw_passes_made=$((gw_passes_made + 1))
  gw_clock
  gw_final_began=$gw_time
  while :; do
    if ! gw_holds_claim; then gw_order=quit && return; fi
    failed=''
    gw_sync_credentials
    for ((n = 0; n < ${#gw_transfer_store[@]}; n++)); do
      if [[ ${gw_statuses[n]-} == 0 ]]; then continue; fi
      gw_sync_set_limit
      gw_sync_transfer "$n" final "$gw_number"
      gw_statuses[n]=$gw_exit
      if [[ $gw_order != final ]]; then return; fi
      if ((gw_exit != 0)); then failed=yes; fi
    done
    if [[ -z $failed ]]; then break; fi
    delay=$((delay * 2 > 3000 ? 3000 : delay * 2))
    gw_sync_rest "$delay" || break
  done
  gw_sync_results
  gw_sync_manifest "$failed"
  if [[ $gw_order != final ]]; then return; fi
  if [[ -n $gw_manifest_written ]]; then gw_sync_results; fi
  if [[ -z $failed ]]; then gw_sync_state 'done'; else gw_sync_state failed; fi
}

# Sets gw_number to the time by which copying must end, so that some is left for the manifest.
gw_sync_set_limit() {
  local rest=$(((gw_final_end - gw_final_began) / 5))
  if ((rest > 300)); then rest=300; fi
  if ((rest < 20)); then rest=20; fi
  gw_number=$((gw_final_end - rest))
}

# Waits before the next try of the final pass: DELAY, or less, so that one try is made shortly before the end. Status
# 1: there is no time for another, or no need.
gw_sync_rest() {
  local until last=$((gw_final_end - 400))
  gw_clock
  until=$((gw_time + $1))
  if ((last > gw_time + 50 && last < until)); then until=$last; fi
  while [[ $gw_order == final ]] && ((gw_time < until && gw_time + 100 < gw_final_end)); do
    gw_sync_tick 0.2
  done
  [[ $gw_order == final ]] && ((gw_time + 100 < gw_final_end))
}

# --- manifest and results

# Lists what the final pass copied, and publishes the list. Arguments: FAILED (not empty: some transfer failed, so no
# time is spent on digests). Sets gw_manifest_written.
gw_sync_manifest() {
  local n
  for ((n = 0; n < ${#gw_transfer_store[@]}; n++)); do
    gw_sync_list "$n" "$gw_control/sync.list.$n" "$1" || return
  done
  gw_sync_write_manifest >"$gw_control/manifest.json.part" || return
  rm -f -- "$gw_control"/sync.list.*
  gw_holds_claim && gw_publish "$gw_control/manifest.json" && gw_manifest_written=yes
}

# Prints the manifest from the lists.
gw_sync_write_manifest() {
  local n gw_record
  gw_now
  gw_record='{"version":1'
  gw_member job "$gw_job"
  gw_record+=",\"attempt\":$gw_attempt"
  gw_member token "$gw_token"
  gw_member at "$gw_at"
  printf '%s,"transfers":[' "$gw_record"
  for ((n = 0; n < ${#gw_transfer_store[@]}; n++)); do
    gw_json "${gw_stores[${gw_transfer_store[n]}]}"
    gw_record="{\"store\":$gw_text"
    gw_json "${gw_transfer_source[n]}"
    gw_record+=",\"source\":$gw_text"
    gw_json "${gw_transfer_destination[n]}"
    ((n == 0)) || printf ','
    printf '%s,"destination":%s,"exit_status":%d,"files":\n' "$gw_record" "$gw_text" "${gw_statuses[n]}"
    cat -- "$gw_control/sync.list.$n" || return 1
    printf '}'
  done
  printf ']}\n'
}

# Writes the files of transfer N, as rclone lists them, into FILE. Digests need everything to be read again: they
# get two thirds of the time, and none where there is little. Arguments: N FILE FAILED. Status 1: not listed.
gw_sync_list() {
  local filter=$gw_control/filter.$1.final args digests=(--hash --hash-type sha256) limit
  if [[ ! -s $filter ]] || ! gw_sync_source "$1"; then
    printf '[]\n' >"$2"
    return
  fi
  args=(lsjson "$gw_source" -R --files-only --no-mimetype --filter-from "$filter" --use-json-log --skip-links
    --local-encoding Raw --no-unicode-normalization)
  gw_clock
  if [[ -z $3 ]] && ((gw_final_end - gw_time > 400)); then
    limit=$((gw_time + (gw_final_end - gw_time) * 2 / 3))
    gw_sync_rclone "$limit" "$2" "${args[@]}" "${digests[@]}"
    if ((gw_exit == 0)); then return; fi
  fi
  gw_sync_rclone 0 "$2" "${args[@]}"
  ((gw_exit == 0))
}

# Publishes sync.result, for the script: one line for each store (number, complete or failed, exit status), and
# `manifest` where there is one.
gw_sync_results() {
  local n i worst
  {
    for ((i = 0; i < ${#gw_stores[@]}; i++)); do
      worst=0
      for ((n = 0; n < ${#gw_transfer_store[@]}; n++)); do
        if ((gw_transfer_store[n] == i && gw_statuses[n] != 0)); then worst=${gw_statuses[n]}; fi
      done
      if ((worst)); then printf '%d failed %d\n' "$i" "$worst"; else printf '%d complete 0\n' "$i"; fi
    done
    if [[ -n $gw_manifest_written ]]; then printf 'manifest\n'; fi
  } >"$gw_control/sync.result.part"
  gw_publish "$gw_control/sync.result"
}

# What is left to do after the script's death: say so, and end what is left of the payload, which nobody else may do
# (a container is not in the scheduler's session). It takes no longer than three seconds.
gw_sync_mourn() {
  local end stopper
  gw_sync_state died
  if [[ -z $gw_payload_pid ]]; then return; fi
  (
    exec {gw_log}>&-
    "gw_${gw_kind}_available"
    if [[ -n $gw_beside_pid ]]; then (gw_force_beside); fi
    "gw_${gw_kind}_stop" 1
  ) >>"$gw_control/script.log" 2>&1 &
  stopper=$!
  gw_clock
  end=$((gw_time + 250))
  while kill -0 "$stopper" 2>/dev/null && ((gw_time < end)); do
    gw_pause 0.1
    gw_clock
  done
  kill -KILL "$stopper" 2>/dev/null
}
