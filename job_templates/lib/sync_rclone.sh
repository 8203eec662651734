# shellcheck shell=bash
# The syncer's rclone: one at a time, under watch, with the credentials in its environment only.

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
  if [[ $1 == copy ]]; then # listing the job's folder needs no credentials
    for ((i = 0; i < ${#gw_names[@]}; i++)); do export "${gw_names[i]}=${gw_values[i]}"; done
  fi
  # Bounds of memory; as variables, because an older rclone does not know all of them.
  export RCLONE_MAX_BUFFER_MEMORY=64M RCLONE_AZUREBLOB_UPLOAD_CONCURRENCY=4 RCLONE_S3_UPLOAD_CONCURRENCY=4
  export RCLONE_CONFIG=/dev/null GOGC=50 GOMEMLIMIT=96MiB TZ=UTC
  cd / || exit 1
  if [[ -n $gw_final_run ]]; then gw_gentle=(); fi # while the payload runs, it comes first
  exec ${gw_guard[@]+"${gw_guard[@]}"} ${gw_gentle[@]+"${gw_gentle[@]}"} "$gw_rclone" "$@"
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
    if [[ -n $gw_sync_shown ]] && ((gw_time >= gw_next_tell)); then gw_sync_tell; fi
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
