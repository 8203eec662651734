# shellcheck shell=bash
# The syncer's last part: the final pass, the manifest of what it brought, and the results for the script.

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
      gw_sync_finish "$n" "$gw_number"
      gw_statuses[n]=$gw_exit gw_pass_exits[n]=$gw_exit
      if [[ $gw_order != final ]]; then return; fi
      if ((gw_exit != 0)); then failed=yes; fi
    done
    gw_sync_tell_final
    if [[ $gw_order != final ]]; then return; fi
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

# Sends all of transfer N: whatever was sent before is compared with the store, but where there is little time, or much
# to compare, only what was not sent is. Sets gw_exit. Arguments: N LIMIT
gw_sync_finish() {
  local began tight='' exits
  gw_exit=0
  if [[ ! -s $gw_control/filter.$1.final ]] || ! gw_sync_source "$1"; then
    gw_sync_no_backlog "$1"
    return
  fi
  gw_clock
  began=$gw_time
  if ((gw_final_end - gw_time < 6000)); then tight=yes; fi
  if gw_sync_has_entries "$gw_sync_chunk" || [[ -n $tight && -e $gw_lists/sync.sent.$1 ]]; then
    gw_sync_finish_rest "$1" "$2" "$tight"
  else
    gw_sync_finish_whole "$1" "$2" "$tight"
  fi
  exits=$gw_exit
  gw_sync_note "$1" final "$began"
  gw_exit=$exits
}

# Compares all of transfer N with the store, and sends what differs, small files first, and before them what is wanted
# most where time is short. Sets gw_exit. Arguments: N LIMIT TIGHT
gw_sync_finish_whole() {
  local filter small=(--fast-list --check-first --order-by "size,ascending")
  if [[ -n $3 ]]; then
    for filter in "$gw_control/filter.$1.urgent".[0-9]; do
      if [[ -s $filter ]]; then gw_sync_copy "$1" final "$2" --filter-from "$filter" "${small[@]}"; fi
    done
  fi
  gw_sync_copy "$1" final "$2" --filter-from "$gw_control/filter.$1.final" "${small[@]}"
  if ((gw_exit == 0)); then gw_sync_no_backlog "$1"; fi
}

# Sends what was not sent of transfer N, in the same order. Sets gw_exit. Arguments: N LIMIT TIGHT
gw_sync_finish_rest() {
  local base=$gw_lists/sync filter exits filters=("$gw_control/filter.$1.urgent".[0-9] "$gw_control/filter.$1.final")
  gw_sync_shown='' # what is looked at first is not all
  for filter in "${filters[@]}"; do
    if [[ ! -s $filter || (-z $3 && $filter != *.final) ]]; then continue; fi
    gw_sync_look "$1" "$filter" "$2"
    if [[ ${gw_looked[$1]} != yes ]]; then # one folder that cannot be read must not keep back all others
      gw_sync_copy "$1" final "$2" --filter-from "$filter" --order-by size,ascending
      continue
    fi
    sort -S 16M -T "$gw_lists" -t ';' -k 2,2n -o "$base.now.$1" -- "$base.left.$1"
    gw_sync_send "$1" final "$2"
    exits=$gw_exit
    if [[ $filter == *.final ]]; then gw_sync_account "$1"; else gw_sync_keep "$1"; fi
    gw_exit=$exits
  done
  gw_sync_shown=yes
}

# Nothing of transfer N is missing in its store. Arguments: N
gw_sync_no_backlog() {
  gw_backlog_files[$1]=0 gw_backlog_bytes[$1]=0 gw_backlog_oldest[$1]=''
}

# Publishes sync.json after a try of the final pass, once each transfer could be listed.
gw_sync_tell_final() {
  local n
  for ((n = 0; n < ${#gw_transfer_store[@]}; n++)); do
    if [[ ${gw_statuses[n]} != 0 ]]; then gw_sync_look "$n" "$gw_control/filter.$n.final" "$gw_number"; fi
  done
  gw_sync_show
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
  local filter=$gw_control/filter.$1.final limit digests=(--hash --hash-type sha256 --hash-type md5 --checkers 8)
  if [[ ! -s $filter ]] || ! gw_sync_source "$1"; then
    printf '[]\n' >"$2"
    return
  fi
  gw_clock
  if [[ -z $3 ]] && ((gw_final_end - gw_time > 400)); then
    limit=$((gw_time + (gw_final_end - gw_time) * 2 / 3))
    gw_sync_listing "$limit" "$2" "$filter" lsjson --no-mimetype "${digests[@]}"
    if ((gw_exit == 0)); then gw_sync_join "$2" && return; fi
  fi
  gw_sync_listing 0 "$2" "$filter" lsjson --no-mimetype
  ((gw_exit == 0)) && gw_sync_join "$2"
}

# Makes one list of the lists in FILE, of which there are several where it was listed in slices. Each row is a line.
gw_sync_join() {
  {
    printf '[\n'
    sed -e '/^\[$/d' -e '/^\]$/d' -- "$1" | sed -e 's/,$//' -e '$!s/$/,/'
    printf ']\n'
  } >"$1.part" && mv -f -- "$1.part" "$1"
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

