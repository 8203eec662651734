# shellcheck shell=bash
# What a pass has to send: a listing of what a transfer wants, less what was sent in just that form before; and what
# the syncer says about it, to the gateway (sync.json) and to the script (sync.need).
#
# Lists hold lines `TIME;SIZE;NAME` of rclone's (times in UTC to the nanosecond, names in rclone's own form, in which no
# name has a line break), in sorted order, so the oldest comes first. They are in a folder of the run, gw_lists:
#   sync.scan.N  what transfer N wants             sync.sent.N  of that, what the store has in this form
#   sync.left.N  what it has not                   sync.done.N  what the running pass has sent of it
# A name that comes to bash is data: it stands in no command but as a quoted argument.

gw_sync_chunk=20000 # names that one rclone gets at most: its memory grows with them
gw_sync_many=100000 # entries of a folder from which on it is listed in slices

# Lists what FILTER takes of transfer N (gw_source) into sync.scan.N. Sets gw_exit. Arguments: N FILTER LIMIT
gw_sync_scan() {
  local scan=$gw_lists/sync.scan.$1 began
  local args=(--format tsp --separator ';' --time-format '2006-01-02T15:04:05.000000000Z')
  gw_clock
  began=$gw_time
  gw_sync_listing "$3" "$scan.part" "$2" lsf "${args[@]}"
  if ((gw_exit == 0)); then
    sort -S 16M -T "$gw_lists" -o "$scan" -- "$scan.part" || gw_exit=1
  fi
  rm -f -- "$scan.part"
  gw_clock
  gw_scan_time=$((gw_scan_time + gw_time - began))
}

# Has rclone list gw_source into FILE, in slices where a folder is large, because its memory grows with the largest one.
# Sets gw_exit. Arguments: LIMIT FILE FILTER, then the way to list (lsf, lsjson) and its options
gw_sync_listing() {
  local limit=$1 file=$2 filter=$3 slice slices
  shift 3
  local args=("$1" --checkers 2 "${@:2}" -R --files-only --skip-links --local-encoding Raw --no-unicode-normalization
    --use-json-log)
  gw_sync_set_slices
  if [[ -z $slices ]]; then
    gw_sync_rclone "$limit" "$file" "${args[@]}" --filter-from "$filter" "$gw_source"
    return
  fi
  : >"$file"
  for slice in $slices none; do
    { gw_sync_slice "$slice" && cat -- "$filter"; } >"$gw_lists/sync.slice.part" || { gw_exit=1 && return; }
    gw_sync_rclone "$limit" "$file.slice" "${args[@]}" --filter-from "$gw_lists/sync.slice.part" "$gw_source"
    if ((gw_exit != 0)); then break; fi
    cat -- "$file.slice" >>"$file" || gw_exit=1
  done
  rm -f -- "$file.slice" "$gw_lists/sync.slice.part"
}

# Sets `slices` of gw_sync_listing: the more, the larger the largest folder below gw_source is; none where it is small.
gw_sync_set_slices() {
  local most rest
  slices=''
  gw_sync_has_entries "$gw_sync_many" || return 0
  read -r most rest < <(find "$gw_source" -mindepth 1 -printf '%h\0' 2>/dev/null | tr '\n\0' '?\n' |
    sort -S 16M -T "$gw_lists" | uniq -c | sort -rn)
  if ((${most:-0} >= 5 * gw_sync_many)); then
    slices='0 1 2 3 4 5 6 7 8 9'
  elif ((${most:-0} >= gw_sync_many)); then
    slices='01 23 45 67 89'
  fi
}

# Status 0 where gw_source has COUNT entries or more, with all below.
gw_sync_has_entries() {
  local count
  count=$(find "$gw_source" -printf x 2>/dev/null | head -c "$1" | wc -c)
  ((count >= $1))
}

# Prints filter lines that leave only names whose last digit before the ending is one of DIGITS, or that have none
# (none). Each name is in exactly one slice; the filter itself decides about the rest.
gw_sync_slice() {
  local others=0123456789
  if [[ $1 != none ]]; then
    others=${others//[$1]/}
    printf '%s\n' '- {{[^0-9/]*\.[^./]*}}' '- {{[^0-9./]*}}'
  fi
  printf '%s\n' "- {{[^/]*[$others][^0-9/]*\\.[^./]*}}" "- {{[^./]*[$others][^0-9./]*}}"
}

# Sets sync.left.N to what of sync.scan.N was not sent. Arguments: N
gw_sync_compare() {
  local base=$gw_lists/sync
  [[ -e $base.sent.$1 ]] || : >"$base.sent.$1"
  comm -23 -- "$base.scan.$1" "$base.sent.$1" >"$base.left.$1"
}

# Divides sync.left.N into sync.now.N, which has settled, and sync.moving.N, which has changed too lately. Arguments: N
gw_sync_divide() {
  local left=$gw_lists/sync.left.$1 moment=${EPOCHREALTIME-} part mark
  if [[ $moment == *.* ]]; then
    part=${moment#*.}
    moment=$((${moment%.*} * 1000 + 10#${part:0:3}))
  else
    printf -v moment '%(%s)T000' -1
  fi
  moment=$((moment - gw_settle * 10))
  TZ=UTC0 printf -v mark '%(%Y-%m-%dT%H:%M:%S)T.%03d999999Z' $((moment / 1000)) $((moment % 1000))
  printf '%s\n' "$mark" | sort -m -- - "$left" >"$left.part"
  sed "/^$mark\$/,\$d" -- "$left.part" >"$gw_lists/sync.now.$1"
  sed -n "/^$mark\$/,\$p" -- "$left.part" | tail -n +2 >"$gw_lists/sync.moving.$1"
  rm -f -- "$left.part"
}

# Sets gw_files, gw_bytes and gw_oldest (empty: none) to what the lines of FILE add up to.
gw_sync_sum() {
  local time size name
  gw_files=0 gw_bytes=0 gw_oldest=''
  while IFS=';' read -r time size name; do
    if [[ $size == *[!0-9]* || -z $name ]]; then continue; fi
    gw_files=$((gw_files + 1)) gw_bytes=$((gw_bytes + 10#${size:-0}))
    if [[ -z $gw_oldest || $time < $gw_oldest ]]; then gw_oldest=$time; fi
  done <"$1"
}

# Takes what the pass has sent into sync.sent.N, which then holds of sync.scan.N what the store has. Arguments: N
gw_sync_account() {
  local base=$gw_lists/sync
  [[ -e $base.scan.$1 && -e $base.sent.$1 ]] || return
  [[ -e $base.done.$1 ]] || : >"$base.done.$1"
  sort -S 16M -T "$gw_lists" -u -o "$base.sent.part" -- "$base.done.$1" "$base.sent.$1" &&
    comm -12 -- "$base.scan.$1" "$base.sent.part" >"$base.sent.$1.part" &&
    mv -f -- "$base.sent.$1.part" "$base.sent.$1"
  : >"$base.done.$1"
  rm -f -- "$base.sent.part"
  gw_sync_compare "$1"
  gw_sync_set_backlog "$1"
}

# Sets the backlog of transfer N from sync.left.N, less what was sent of files that are followed. Arguments: N
gw_sync_set_backlog() {
  gw_sync_sum "$gw_lists/sync.left.$1"
  gw_bytes=$((gw_bytes - ${gw_followed_bytes[$1]:-0}))
  gw_backlog_files[$1]=$gw_files gw_backlog_bytes[$1]=$((gw_bytes > 0 ? gw_bytes : 0)) gw_backlog_oldest[$1]=$gw_oldest
}

# Makes the folder of this run's lists; what other runs have left goes.
gw_sync_make_lists() {
  gw_lists=$gw_control/sync.lists.${gw_token:0:8}
  rm -rf -- "$gw_control"/sync.lists.*
  mkdir -- "$gw_lists"
}

# Publishes sync.json: what is wanted and not in the stores, as the last listing and what was sent since then show.
gw_sync_tell() {
  local i n files bytes oldest worst
  gw_next_tell=$((gw_time + 1000))
  gw_now
  {
    printf '{"version":1,"token":"%s","at":"%s","pass":%d,"stores":[' "$gw_token" "$gw_at" "$gw_passes_made"
    for ((i = 0; i < ${#gw_stores[@]}; i++)); do
      files=0 bytes=0 oldest='' worst=0
      for ((n = 0; n < ${#gw_transfer_store[@]}; n++)); do
        ((gw_transfer_store[n] == i)) || continue
        files=$((files + ${gw_backlog_files[n]:-0})) bytes=$((bytes + ${gw_backlog_bytes[n]:-0}))
        gw_text=${gw_backlog_oldest[n]-}
        if [[ -n $gw_text && (-z $oldest || $gw_text < $oldest) ]]; then oldest=$gw_text; fi
        if ((${gw_pass_exits[n]:-0} != 0)); then worst=${gw_pass_exits[n]}; fi
      done
      ((i == 0)) || printf ','
      gw_json "${gw_stores[i]}"
      printf '{"store":%s,"backlog_bytes":%d,"backlog_files":%d' "$gw_text" "$bytes" "$files"
      gw_json_or_null "${oldest:+${oldest:0:23}Z}"
      printf ',"oldest":%s,"exit_status":%d}' "$gw_text" "$worst"
    done
    printf ']}\n'
  } >"$gw_control/sync.json.part"
  if gw_holds_claim; then mv -fT -- "$gw_control/sync.json.part" "$gw_control/sync.json"; fi
}

# Remembers how fast files were sent; what is too little says nothing. Arguments: FILES BYTES TIME
gw_sync_measure() {
  local time=$(($3 > 0 ? $3 : 1))
  if (($2 >= 4194304)); then gw_byte_rate=$(($2 / time)); fi
  if (($1 >= 50)); then gw_file_rate=$(($1 * 100 / time)); fi
}

# Looks, in each sixth pass, at what only the final pass will take of transfer N: gw_end_files and gw_end_bytes.
# Arguments: N
gw_sync_look_ahead() {
  local base=$gw_lists/sync running=$gw_control/filter.$1.running final=$gw_control/filter.$1.final
  if ((gw_passes_made % 6 != 1)) || [[ $(<"$running") == "$(<"$final")" ]] || ! gw_sync_source "$1"; then return; fi
  gw_sync_scan "$1.end" "$final" 0
  if ((gw_exit == 0)); then
    [[ -e $base.scan.$1 ]] || : >"$base.scan.$1"
    comm -23 -- "$base.scan.$1.end" "$base.scan.$1" >"$base.left.$1.end"
    gw_sync_sum "$base.left.$1.end"
    gw_end_files[$1]=$gw_files gw_end_bytes[$1]=$gw_bytes
  fi
  rm -f -- "$base.scan.$1.end" "$base.left.$1.end"
}

# Tells the script by sync.need how much time, in hundredths of a second, the final pass would take at the rates of the
# passes so far, half as much again; nothing before something was measured.
gw_sync_set_need() {
  local n files=0 bytes=0 need=0
  for ((n = 0; n < ${#gw_transfer_store[@]}; n++)); do
    files=$((files + ${gw_backlog_files[n]:-0} + ${gw_end_files[n]:-0}))
    bytes=$((bytes + ${gw_backlog_bytes[n]:-0} + ${gw_end_bytes[n]:-0}))
  done
  if ((gw_byte_rate > 0)); then need=$((bytes / gw_byte_rate)); fi
  if ((gw_file_rate > 0)); then need=$((need + files * 100 / gw_file_rate)); fi
  need=$((need * 3 / 2))
  if ((need == gw_need)); then return; fi
  gw_need=$need
  printf '%d\n' "$need" >"$gw_control/sync.need.part" && mv -fT -- "$gw_control/sync.need.part" "$gw_control/sync.need"
}
