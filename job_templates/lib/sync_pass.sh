# shellcheck shell=bash
# Passes while the payload runs: each lists what is wanted, and sends what has settled and is not in the store yet.

gw_sync_late=6 # passes that a file which never settles may miss

# Sets gw_source to the real folder of transfer N; status 1 where it does not exist (yet), or the payload has put a
# symbolic link in its place, which must not be followed.
gw_sync_source() {
  local below=${gw_transfer_source[$1]} real
  gw_source=$gw_physical${below:+/$below}
  real=$(cd -P -- "$gw_source" 2>/dev/null && pwd -P && printf .) || return 1
  [[ $real == "$gw_source"$'\n.' ]]
}

# Makes a pass. The first compares all that has settled with the store, and so does one that was asked for; the others
# send what those before have not sent. Arguments: KIND (background, full)
gw_sync_pass() {
  local kind=$1 n began failed='' incomplete=''
  if ! gw_holds_claim; then gw_order=quit && return; fi
  if [[ -z $gw_compared ]]; then kind=full; fi
  gw_passes_made=$((gw_passes_made + 1))
  gw_sync_state pass
  gw_sync_credentials
  gw_clock
  began=$gw_time gw_scan_time=0
  for ((n = 0; n < ${#gw_transfer_store[@]}; n++)); do
    gw_sync_look "$n" "$gw_control/filter.$n.running" 0
    if [[ -z $gw_order ]]; then gw_sync_look_ahead "$n"; fi
    if [[ -n $gw_order ]]; then return; fi
  done
  gw_sync_show
  for ((n = 0; n < ${#gw_transfer_store[@]}; n++)); do
    gw_sync_transfer "$n" "$kind"
    gw_pass_exits[n]=$gw_exit
    if [[ -n $gw_order ]]; then return; fi
    case $gw_exit in
      0) ;;
      6) incomplete=yes ;; # a file grew while it was read; the store itself is well
      *) failed=yes ;;
    esac
  done
  if [[ -z $failed$incomplete ]]; then gw_compared=yes; fi
  gw_sync_show
  gw_sync_set_need
  gw_sync_plan_next "$began" "$failed"
  gw_sync_state idle
}

# Sets gw_next_pass: after the interval, and after ten times what listing took, where that is more than a moment; later
# after trouble. Arguments: BEGAN FAILED
gw_sync_plan_next() {
  local pause
  gw_clock
  if [[ -n $2 ]]; then
    gw_failures=$((gw_failures < 6 ? gw_failures + 1 : 6))
    pause=$((100 << gw_failures))
    gw_next_pass=$((gw_time + (pause < 6000 ? pause : 6000)))
    return
  fi
  gw_failures=0
  gw_hundredths "${gw_sync_interval:-0}"
  if ((gw_scan_time > 200 && gw_number < 10 * gw_scan_time)); then gw_number=$((10 * gw_scan_time)); fi
  gw_next_pass=$(($1 + gw_number > gw_time ? $1 + gw_number : gw_time))
}

# Lists what FILTER takes of transfer N and was not sent. Sets gw_looked[N]: yes, failed, or empty where there is
# nothing to look at. Arguments: N FILTER LIMIT
gw_sync_look() {
  gw_looked[$1]='' gw_exit=0
  if [[ ! -s $2 ]] || ! gw_sync_source "$1"; then
    gw_sync_no_backlog "$1"
    return
  fi
  gw_sync_scan "$@"
  if ((gw_exit == 0)) && gw_sync_compare "$1"; then
    gw_looked[$1]=yes
    gw_sync_set_backlog "$1"
  else
    gw_looked[$1]=failed
  fi
}

# Publishes sync.json, once each transfer could be listed.
gw_sync_show() {
  local n
  for ((n = 0; n < ${#gw_transfer_store[@]}; n++)); do
    if [[ -z ${gw_backlog_files[n]-} ]]; then return; fi
  done
  gw_sync_shown=yes
  gw_clock
  gw_sync_tell
}

# Sends what has settled of transfer N. Sets gw_exit. Arguments: N KIND
gw_sync_transfer() {
  local base=$gw_lists/sync began exits
  gw_exit=0
  gw_clock
  began=$gw_time
  if [[ -z ${gw_looked[$1]} ]] || ! gw_sync_source "$1"; then return; fi
  if [[ ${gw_looked[$1]} == failed ]]; then # one folder that cannot be read must not keep back all others
    gw_sync_copy "$1" "$2" 0 --filter-from "$gw_control/filter.$1.running" --min-age "$((gw_settle * 10))ms"
  elif [[ -n ${gw_transfer_follow[$1]-} ]]; then
    gw_sync_follow "$1" "$2"
  else
    if [[ $2 == full ]]; then
      : >"$base.sent.$1"
      gw_sync_compare "$1"
    fi
    gw_sync_divide "$1"
    if [[ $2 == full ]] && gw_sync_is_short "$base.left.$1"; then
      gw_sync_send_whole "$1" full 0 "$gw_control/filter.$1.running" --min-age "$((gw_settle * 10))ms"
    else
      gw_sync_send "$1" "$2" 0
    fi
  fi
  exits=$gw_exit
  if [[ ${gw_looked[$1]} == yes ]]; then gw_sync_account "$1"; fi
  gw_exit=$exits
  if ((exits == 0)) && [[ -z $gw_order && ${gw_looked[$1]} == yes && -z ${gw_transfer_follow[$1]-} ]]; then
    gw_sync_send_late "$1" "$2"
  fi
  gw_sync_note "$1" "$2" "$began"
}

# Status 0 where FILE has no more lines than one rclone gets.
gw_sync_is_short() {
  local count
  count=$(head -n "$((gw_sync_chunk + 1))" -- "$1" | wc -l)
  ((count <= gw_sync_chunk))
}

# Sends the files of sync.now.N, in chunks and in their order. Sets gw_exit. Arguments: N KIND LIMIT
gw_sync_send() {
  local chunk worst=0 base=$gw_lists/sync
  rm -f -- "$base".chunk.*
  gw_exit=0
  if [[ ! -s $base.now.$1 ]]; then return; fi
  split -a 5 -l "$gw_sync_chunk" -- "$base.now.$1" "$base.chunk." || { gw_exit=1 && return; }
  for chunk in "$base".chunk.*; do
    cut -d ';' -f 3- -- "$chunk" >"$base.names"
    gw_sync_send_list "$@" "$chunk" --files-from-raw "$base.names" --no-traverse --order-by size,ascending
    if ((gw_exit != 0)); then worst=$gw_exit; fi
    if ((gw_exit != 0 && gw_exit != 6)) || [[ -n $gw_order && -z $gw_final_run ]]; then break; fi
  done
  rm -f -- "$base".chunk.* "$base.names"
  gw_exit=$worst
}

# Compares all that FILTER takes with the store, and sends what differs; sync.now.N has to be the list of it. rclone is
# much faster at that with the filter than with names. Sets gw_exit. Arguments: N KIND LIMIT FILTER, then rclone's
gw_sync_send_whole() {
  gw_sync_send_list "$1" "$2" "$3" "$gw_lists/sync.now.$1" --filter-from "$4" --fast-list "${@:5}"
}

# Sends the files of LIST, which the options choose; sync.done.N gets those that are in the store then. Sets gw_exit.
# Arguments: N KIND LIMIT LIST, then rclone's
gw_sync_send_list() {
  local began exits
  gw_sync_sum "$4"
  gw_clock
  began=$gw_time
  gw_sync_copy "$1" "$2" "$3" "${@:5}"
  exits=$gw_exit
  case $gw_exit in
    0)
      cat -- "$4" >>"$gw_lists/sync.done.$1"
      gw_sync_credit "$1"
      # In what a comparison took there may be files that the store had already.
      if [[ $2 == background || ($2 == full && -z $gw_compared && $gw_attempt == 1) ]]; then
        gw_sync_measure "$gw_files" "$gw_bytes" "$((gw_time - began))"
      fi
      ;;
    6) gw_sync_keep_unchanged "$1" "$4" ;;
  esac
  gw_exit=$exits
}

# Takes the files that were just sent (gw_files, gw_bytes) off the backlog of transfer N, as far as they were part of
# it. Arguments: N
gw_sync_credit() {
  local files=$((${gw_backlog_files[$1]:-0} - gw_files)) bytes=$((${gw_backlog_bytes[$1]:-0} - gw_bytes))
  gw_backlog_files[$1]=$((files > 0 ? files : 0)) gw_backlog_bytes[$1]=$((bytes > 0 ? bytes : 0))
}

# After some file of LIST changed while it was read: the others were sent, and a new listing tells which they are.
# Arguments: N LIST
gw_sync_keep_unchanged() {
  local kind=running
  if [[ -n $gw_final_run ]]; then kind=final; fi
  gw_sync_scan "$1" "$gw_control/filter.$1.$kind" 0
  if ((gw_exit == 0)); then
    sort -S 16M -T "$gw_lists" -- "$2" | comm -12 -- - "$gw_lists/sync.scan.$1" >>"$gw_lists/sync.done.$1"
  fi
}

# Adds what was sent of transfer N to sync.sent.N, which may then hold more than the last listing. Arguments: N
gw_sync_keep() {
  local base=$gw_lists/sync
  [[ -s $base.done.$1 ]] || return
  sort -S 16M -T "$gw_lists" -u -o "$base.sent.part" -- "$base.done.$1" "$base.sent.$1" &&
    mv -f -- "$base.sent.part" "$base.sent.$1" && : >"$base.done.$1"
}

# Sends files that never settle, once they have missed some passes: as much of each as there is when it is opened. A
# file that is rewritten all the time may be there with parts of both contents until the final pass. Arguments: N KIND
gw_sync_send_late() {
  local base=$gw_lists/sync began
  if ((gw_passes_made % gw_sync_late || gw_time < gw_next_late)); then return; fi
  cut -d ';' -f 3- -- "$base.moving.$1" | sort -S 16M -T "$gw_lists" >"$base.late.part"
  if [[ -e $base.late.$1 ]]; then comm -12 -- "$base.late.part" "$base.late.$1" >"$base.names"; fi
  mv -f -- "$base.late.part" "$base.late.$1"
  if [[ -s $base.names ]]; then
    began=$gw_time
    gw_sync_copy "$1" "$2" 0 --files-from-raw "$base.names" --no-traverse --local-no-check-updated
    gw_next_late=$((gw_time + 10 * (gw_time - began)))
  fi
  rm -f -- "$base.names"
}

# Copies what is chosen of transfer N. Sets gw_exit. Arguments: N KIND LIMIT, then rclone's options that choose it
gw_sync_copy() {
  local n=$1 limit=$3 args line
  args=(copy "${gw_copied:-$gw_source}" "${gw_transfer_destination[$1]}" "${@:4}" --use-json-log -v --stats 0
    --retries 1 --low-level-retries 2 --contimeout 10s --timeout 60s --transfers 4 --checkers 8 --buffer-size 4M
    --no-update-dir-modtime --skip-links --local-encoding Raw --no-unicode-normalization)
  if [[ -n ${gw_transfer_type[n]} ]]; then args+=(--header-upload "Content-Type: ${gw_transfer_type[n]}"); fi
  if [[ -n ${gw_transfer_args[n]} ]]; then
    while IFS= read -r line; do args+=("$line"); done <<<"${gw_transfer_args[n]}"
  fi
  printf '{"begin":%d,"pass":%d}\n' "$n" "$gw_passes_made" >&"$gw_log" # whose rclone's lines are that follow
  gw_sync_rclone "$limit" /dev/null "${args[@]}"
  gw_clock
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
