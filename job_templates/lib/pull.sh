#!/bin/bash
# The atomic image pull: one whole, verified copy of an image per cache, however many processes ask at once.
# Sourced or inlined it only defines functions. As a program: bash pull.sh CACHE DIGEST REF [MIRROR...]
#
# A final name (<hex>.sif, .sqfs, .img, <hex>/) only ever appears by link or rename of something whole. The lock
# only spares work: were it to fail, two processes would download the same image, and one of them would publish.
#
# Read:  gw_stop (not empty: give up now) and the settings of pull_begin. Descriptor 9 holds the lock.
# Hooks: pull_on_progress BYTES TOTAL SOURCE, pull_on_wait BYTES, pull_on_log LINE, where they are defined.

# Starts a call: resets what it answers, and reads the settings. Arguments: CACHE.
pull_begin() {
  pull_path='' pull_digest='' pull_cached=false pull_bytes=0 pull_folder='' pull_reason='' pull_message=''
  pull_blame=() pull_part='' pull_total=0 pull_beat='' pull_lease='' pull_suspect='' pull_worst=''
  pull_cache=${1%/}
  case $pull_cache in /*) ;; *) pull_cache=$PWD/$pull_cache ;; esac
  pull_host=${HOSTNAME:-node}
  pull_host=${pull_host//[^A-Za-z0-9_-]/_}
  : "${pull_locking:=auto}"           # auto, or lease where flock is known to be per node only
  : "${pull_lock_timeout:=7200}"      # seconds to wait for another process's download
  : "${pull_lease_timeout:=60}"       # seconds of silence after which a lease is taken over
  : "${pull_connect_timeout:=10}"     # seconds
  : "${pull_slow_speed:=1024}"        # a mirror that stays below this many bytes a second …
  : "${pull_slow_time:=30}"           # … for this many seconds is given up
}

# Ends a call without success. Arguments: REASON MESSAGE. Status: 1.
pull_fail() {
  pull_path='' pull_folder='' pull_reason=$1 pull_message=${2//[$'\n\r']/ }
  [ -z "$pull_part" ] || pull_remove "$pull_part"*
  pull_unlock
  return 1
}

# Whether somebody asked the script to stop.
pull_stopping() { [ -n "${gw_stop:-}" ]; }

# Calls a hook where it is defined, without the lock's descriptor. Arguments: NAME ARGUMENT...
pull_hook() {
  if declare -F "$1" >/dev/null; then "$@" 9>&-; fi
  return 0
}

# Removes files and folders, also folders without write permission.
pull_remove() {
  rm -rf -- "$@" 2>/dev/null 9>&- && return 0
  chmod -R u+rwX -- "$@" 2>/dev/null 9>&-
  rm -rf -- "$@" 2>/dev/null 9>&-
}

# A source as it may be shown: without user, password, query and fragment. Sets pull_shown.
pull_show() {
  pull_shown=$1
  case $1 in [hH][tT][tT][pP]*://*) ;; *) return 0 ;; esac
  pull_shown=${pull_shown%%[?#]*}
  local scheme=${pull_shown%%://*} rest=${pull_shown#*://}
  local authority=${rest%%/*}
  pull_shown=$scheme://${authority##*@}${rest#"$authority"}
}

# Remembers why a source failed; the weightiest reason names the whole. Arguments: REASON SOURCE WORDS.
pull_blame_source() {
  pull_show "$2"
  pull_blame+=("$pull_shown $3")
  pull_hook pull_on_log "$pull_shown $3"
  local order='unreachable not_an_image wrong_digest no_space'
  local this=${order%%"$1"*} worst=${order%%"${pull_worst:-$1}"*}
  if ((${#this} >= ${#worst})); then pull_worst=$1; fi
}

# ---- processes ------------------------------------------------------------------------------------------------

# Reads /proc: sets pull_state and pull_parent of a process. Status 1: there is no such process.
pull_process() {
  local line
  { IFS= read -r -d '' line <"/proc/$1/stat"; } 2>/dev/null
  [[ ${line-} == *') '* ]] || return 1
  line=${line##*) } # the name before may hold spaces and brackets
  pull_state=${line%% *} line=${line#* } pull_parent=${line%% *}
}

# Kills CHILD when PARENT dies, so that nothing goes on writing without a shell. Arguments: PARENT CHILD.
pull_guard() {
  while pull_process "$2" && [ "$pull_state" != Z ]; do
    if ! pull_process "$BASHPID" || [ "$pull_parent" != "$1" ]; then
      kill -KILL "$2"
      return
    fi
    sleep 0.4
  done
}

# Starts the guard of a child; sets pull_guardian. Arguments: CHILD.
pull_start_guard() {
  local self=$BASHPID # in the background it would be the guard's own
  pull_guard "$self" "$1" </dev/null >/dev/null 2>&1 9>&- &
  pull_guardian=$!
}

# Waits for a child with a short poll, reporting the growth of FILE, and ends it when asked to stop or when it is
# too slow. Sets pull_slow. Arguments: CHILD FILE SOURCE (FILE empty: nothing to measure). Status: the child's.
pull_watch() {
  local child=$1 pause=0.02 last=$SECONDS mark=0 since=$SECONDS status=0
  pull_slow='' pull_got=0
  pull_start_guard "$child"
  while pull_process "$child" && [ "$pull_parent" = "$BASHPID" ] && [ "$pull_state" != Z ]; do
    if pull_stopping; then
      kill -KILL "$child" 2>/dev/null
      break
    fi
    sleep "$pause" 9>&-
    case $pause in 0.02) pause=0.05 ;; 0.05) pause=0.1 ;; *) pause=0.2 ;; esac
    if [ -z "$2" ] || [ "$SECONDS" = "$last" ]; then continue; fi
    last=$SECONDS
    pull_measure "$2"
    pull_show "$3"
    pull_hook pull_on_progress "$pull_got" "$pull_total" "$pull_shown"
    if ((SECONDS - since < pull_slow_time)); then continue; fi
    if ((pull_got - mark < pull_slow_speed * pull_slow_time)); then
      pull_slow=yes
      kill -KILL "$child" 2>/dev/null
    fi
    mark=$pull_got since=$SECONDS
  done
  { wait "$child" || status=$?; } 2>/dev/null
  { kill -KILL "$pull_guardian" && wait "$pull_guardian"; } 2>/dev/null
  return "$status"
}

# Sets pull_got to what has arrived in FILE (a file with holes counts only what is written).
pull_measure() {
  local sizes
  pull_got=0
  sizes=$(stat -c '%s %b' -- "$1" 2>/dev/null 9>&-) || return 0
  pull_got=${sizes% *}
  case ${pull_tool:-} in aria2c) ((${sizes#* } * 512 >= pull_got)) || pull_got=$((${sizes#* } * 512)) ;; esac
}

# Runs a command that prints little, with pull_input on its standard input; sets pull_output. It is ended when asked
# to stop. Status 1: stopped.
pull_capture() {
  local descriptor child line status=0
  pull_output=''
  exec {descriptor}< <(
    printf '%s\n' "$BASHPID"
    exec 9>&-
    exec "$@" 2>&1 < <(printf '%s' "$pull_input")
  )
  IFS= read -r -u "$descriptor" child || return 1
  pull_start_guard "$child"
  while :; do
    line='' status=0
    IFS= read -r -t 0.2 -u "$descriptor" line || status=$?
    pull_output+=$line
    if ((status == 0)); then pull_output+=$'\n'; fi
    if ((status > 0 && status <= 128)); then break; fi
    if pull_stopping; then kill -KILL "$child" 2>/dev/null && break; fi
  done
  exec {descriptor}<&-
  { kill -KILL "$pull_guardian" && wait "$pull_guardian"; } 2>/dev/null
  ! pull_stopping
}

# Sleeps, unless asked to stop. Arguments: tenths of a second, an even number.
pull_pause() {
  local left
  for ((left = $1; left > 0; left -= 2)); do
    if pull_stopping; then return 1; fi
    sleep 0.2 9>&-
  done
}

# ---- files ----------------------------------------------------------------------------------------------------

# Sets pull_sum to the SHA-256 of FILE (64 hex), or to nothing.
pull_hash() {
  pull_input='' pull_sum=''
  pull_capture sha256sum -- "$1" || return 1
  pull_sum=${pull_output#\\} pull_sum=${pull_sum%% *} # a backslash says that the name was escaped
  if ! [[ $pull_sum =~ ^[0-9a-f]{64}$ ]]; then pull_sum=''; fi
  [ -n "$pull_sum" ]
}

# What FILE is, by its magic: sets pull_suffix (sif, sqfs, img) and pull_page (not empty: text, not an image).
pull_kind() {
  local hex
  pull_suffix=img pull_page=''
  hex=$(od -An -v -tx1 -N 64 -- "$1" 2>/dev/null 9>&- | tr -d ' \n' 9>&-)
  case $hex in
    68737173*) pull_suffix=sqfs ;;
    '' | 3c21* | 3c68* | 3c48* | 3c3f* | 7b* | 0a3c* | 0d0a3c*) pull_page=yes ;; # <! <h <H <? { and blank lines
    *) if [ "${hex:64:18}" = 5349465f4d41474943 ]; then pull_suffix=sif; fi ;;
  esac
}

# Whether only this user (or root) can change FILEs, each within a folder that only they can change.
pull_trusted() {
  local lines line IFS=$' \t\n'
  lines=$(stat -L -c '%u:%a' -- "$pull_cache" "$@" 2>/dev/null 9>&-) || return 1
  for line in $lines; do
    case ${line%:*} in "$EUID" | 0) ;; *) return 1 ;; esac
    if ((8#${line#*:} & 8#022)); then return 1; fi
  done
}

# In a cache that others may write, gives them PATH, whatever the umask; elsewhere the umask decides. Arguments: PATH
# and the permissions that they need (r, rw or rwx).
pull_share() {
  local mode
  mode=$(stat -c %a -- "$pull_cache" 2>/dev/null 9>&-) || return 0
  if ((8#$mode & 8#020)); then chmod "g+$2" -- "$1" 2>/dev/null 9>&-; fi
  if ((8#$mode & 8#002)); then chmod "o+$2" -- "$1" 2>/dev/null 9>&-; fi
  return 0
}

# Makes the cache where it does not exist (0700). Status 1: this user cannot write into it.
pull_prepare() {
  if [ ! -d "$pull_cache" ]; then (umask 077 && mkdir -p -- "$pull_cache") 2>/dev/null; fi
  if [ ! -d "$pull_cache/.locks" ]; then
    mkdir -- "$pull_cache/.locks" 2>/dev/null && pull_share "$pull_cache/.locks" rwx
  fi
  [ -d "$pull_cache/.locks" ] && [ -w "$pull_cache" ] && [ -x "$pull_cache" ]
}

# Removes what dead processes left under KEY: this host's at once, other hosts' after a day.
pull_reap() {
  local file owner
  for file in "$pull_cache/$1".*.part*; do
    owner=${file##*/} owner=${owner#"$1".} owner=${owner%%.part*}
    if [ "${owner%.*}" = "$pull_host" ] && ! pull_process "${owner##*.}"; then pull_remove "$file"; fi
  done
  find "$pull_cache" -maxdepth 1 -name "$1.*.part*" -mmin +1440 -exec rm -rf -- {} + 2>/dev/null 9>&-
  return 0
}

# Status 1: fewer than BYTES are free; sets pull_free.
pull_room() {
  pull_free=$(df -B1 --output=avail -- "$pull_cache" 2>/dev/null 9>&-) && pull_free=${pull_free##*[!0-9]}
  [ -z "$pull_free" ] || ((pull_free >= $1))
}

# ---- lock -----------------------------------------------------------------------------------------------------

# Takes the lock NAME, waiting while another process has it. Status 1: pull_fail has been called.
pull_lock() {
  local file=$pull_cache/.locks/$1.lock deadline=$((SECONDS + pull_lock_timeout)) status=2 waiter
  if [ "$pull_locking" != lease ]; then
    if [ ! -e "$file" ]; then (: >>"$file") 2>/dev/null && pull_share "$file" rw; fi
    if ! { exec 9>>"$file" || exec 9<"$file"; } 2>/dev/null; then
      pull_fail cache_not_writable "the image cache $pull_cache cannot be locked: $file cannot be opened"
      return 1
    fi
    status=0
    flock -n 9 2>/dev/null || status=$?
  fi
  while ((status == 1)); do
    pull_may_wait "$deadline" "$1" || return 1
    # in the background, so that a trap of the script runs at once
    flock -w 1 9 2>/dev/null &
    waiter=$! status=0
    { wait "$waiter" || status=$?; } 2>/dev/null
    if ((status > 128)); then # a signal came; the lock may or may not be there
      { kill -KILL "$waiter" && wait "$waiter"; } 2>/dev/null
      status=1
      flock -n 9 2>/dev/null && status=0
    fi
  done
  if ((status == 0)); then return 0; fi
  exec 9>&-
  pull_take_lease "$pull_cache/.locks/$1.lease" "$deadline" "$1" # flock does not work on this file system
}

# Reports that another process is at work. Arguments: DEADLINE KEY. Status 1: no more waiting (pull_fail called).
pull_may_wait() {
  local file
  if pull_stopping; then
    pull_fail interrupted "stopped while waiting for another process's download"
    return 1
  fi
  if ((SECONDS >= $1)); then
    pull_fail lock_timeout "another process has been holding the image's lock for $pull_lock_timeout seconds"
    return 1
  fi
  pull_got=0
  for file in "$pull_cache/$2".*.part; do if [ -f "$file" ]; then pull_measure "$file"; fi; done
  pull_hook pull_on_wait "$pull_got"
}

# The lock as a folder with an owner and a heartbeat. Arguments: FOLDER DEADLINE KEY.
pull_take_lease() {
  local lease=$1 token=$pull_host.$BASHPID.$RANDOM$RANDOM seen='' now since=$SECONDS owner self=$BASHPID
  until mkdir -- "$lease" 2>/dev/null; do
    if [ ! -d "$lease" ] && [ ! -w "${lease%/*}" ]; then
      pull_fail cache_not_writable "the image cache $pull_cache cannot be locked: $lease cannot be made"
      return 1
    fi
    owner='' now=$(stat -c '%i %Y' -- "$lease" "$lease/owner" 2>/dev/null)
    { read -r owner <"$lease/owner"; } 2>/dev/null
    if [ "$seen" != "$now" ]; then seen=$now since=$SECONDS; fi
    # silence is measured by this node's own clock; a dead process of this node needs no waiting
    if ((SECONDS - since >= pull_lease_timeout)) || pull_lease_dead "$owner"; then
      if mv -T -- "$lease" "$lease.$token" 2>/dev/null; then pull_remove "$lease.$token"; fi
      continue
    fi
    pull_may_wait "$2" "$3" && pull_pause 10
    if [ -n "$pull_reason" ]; then return 1; fi
  done
  pull_lease=$lease pull_token=$token
  printf '%s\n' "$token" >"$lease/owner"
  pull_heartbeat "$self" "$lease/owner" </dev/null >/dev/null 2>&1 &
  pull_beat=$!
}

# Whether the OWNER of a lease is a process of this node that has ended.
pull_lease_dead() {
  local process=${1%.*}
  [ "${process%.*}" = "$pull_host" ] && [ "$process" != "$1" ] && ! pull_process "${process##*.}"
}

# Touches FILE every five seconds while PARENT lives. Arguments: PARENT FILE.
pull_heartbeat() {
  local turn
  while touch -c -- "$2"; do
    for ((turn = 0; turn < 5; turn++)); do
      sleep 1
      if ! pull_process "$BASHPID" || [ "$pull_parent" != "$1" ]; then return; fi
    done
  done
}

# Gives the lock back.
pull_unlock() {
  local owner=''
  { exec 9>&-; } 2>/dev/null
  if [ -z "$pull_lease" ]; then return 0; fi
  { kill -KILL "$pull_beat" && wait "$pull_beat"; } 2>/dev/null
  { read -r owner <"$pull_lease/owner"; } 2>/dev/null
  if [ "$owner" = "$pull_token" ]; then pull_remove "$pull_lease"; fi
  pull_lease=''
}

# ---- the cache ------------------------------------------------------------------------------------------------

# Looks for the published image of pull_key; sets pull_path. Status 1: there is none.
pull_present() {
  for pull_path in "$pull_cache/$pull_key".{sif,sqfs,img}; do if [ -f "$pull_path" ]; then return 0; fi; done
  pull_path=''
  return 1
}

# Whether the published image may be used: where only this user or root could have put it there its presence is
# enough, because only verified files are published; elsewhere its digest is checked every time. Sets pull_digest.
pull_accept() {
  local expected=$pull_want
  if [ -z "$expected" ]; then { read -r expected <"$pull_cache/$pull_key.digest"; } 2>/dev/null; fi
  expected=${expected#sha256:}
  pull_digest=sha256:$expected
  if [ -n "$expected" ] && [ -r "$pull_path" ] && pull_trusted "$pull_path"; then return 0; fi
  pull_hook pull_on_log "verifying $pull_path, which others can change"
  pull_hash "$pull_path" || return 1
  pull_digest=sha256:$pull_sum
  [ "$pull_sum" = "${expected:-$pull_sum}" ]
}

# Looks for a source that is a file of this node, right as it is: used in place. It is verified once; the mark
# <key>.inplace says of which file (inode, size, times). Sets pull_path and pull_digest. Arguments: quick (only by the
# mark) or full.
pull_in_place() {
  local source file mark='' stamp
  for source in "${pull_sources[@]}"; do
    case $source in file:///*) file=${source#file://} ;; /*) file=$source ;; *) continue ;; esac
    if [ ! -f "$file" ] || [ ! -r "$file" ]; then
      [ "$1" = quick ] || pull_blame_source unreachable "$source" "is not a file that can be read on this node"
      continue
    fi
    stamp=$(stat -L -c '%i %s %.9Y %.9Z' -- "$file" 2>/dev/null 9>&-) || continue
    pull_path=$file pull_cached=true
    { IFS= read -r mark <"$pull_cache/$pull_key.inplace"; } 2>/dev/null
    if [ "${mark#* }" = "$stamp $file" ] && pull_trusted "$pull_cache/$pull_key.inplace"; then
      pull_digest=${mark%% *}
      return 0
    fi
    if [ "$1" = full ]; then
      pull_hash "$file" || pull_sum=''
      if [ -n "$pull_sum" ] && [ "$pull_sum" = "${pull_want:-$pull_sum}" ]; then
        pull_digest=sha256:$pull_sum
        pull_note inplace "$pull_digest $stamp $file" || : # a cache that cannot be written: verified again next time
        return 0
      fi
      pull_stopping || pull_blame_source wrong_digest "$source" "has the digest sha256:$pull_sum"
    fi
    pull_path='' pull_cached=false
  done
  return 1
}

# Writes LINE to <key>.<suffix> by rename. Arguments: SUFFIX LINE.
pull_note() {
  local part=$pull_cache/$pull_key.$pull_host.$BASHPID.part.$1
  { printf '%s\n' "$2" >"$part"; } 2>/dev/null || return 1
  pull_share "$part" r
  mv -f -- "$part" "$pull_cache/$pull_key.$1" 2>/dev/null 9>&-
}

# Publishes the verified part under its final name, never replacing. Sets pull_path. Status 1: it cannot.
pull_publish() {
  local final
  pull_digest=sha256:$pull_sum
  final=$pull_cache/$pull_key.$pull_suffix
  if [ -z "$pull_want" ]; then pull_note digest "$pull_digest" || return 1; fi
  chmod a-w -- "$pull_part" 9>&-
  pull_share "$pull_part" r
  # on the disk before it has its name, so that a crash of the node leaves no empty file behind that name
  pull_input=''
  pull_capture dd "of=$pull_part" if=/dev/null conv=notrunc,fsync status=none || return 1
  ln -- "$pull_part" "$final" 2>/dev/null 9>&- || mv -n -- "$pull_part" "$final" 2>/dev/null 9>&- || :
  [ -f "$final" ] || return 1
  pull_path=$final
  pull_remove "$pull_part"*
  pull_part=''
}

# ---- download -------------------------------------------------------------------------------------------------

# Asks the sources in turn how long the image is, until one answers; sets pull_total, or leaves 0.
pull_ask_length() {
  local source line good='' tool=(wget --spider --server-response --tries=1 --timeout="$pull_connect_timeout" -i -)
  if command -v curl >/dev/null; then
    tool=(curl -q -g -s -f -I -L --max-redirs 5 --proto '=http,https' --max-time "$pull_connect_timeout" -K -)
  fi
  command -v "${tool[0]}" >/dev/null || return 0
  for source in "${pull_urls[@]}"; do
    if [ "${tool[0]}" = curl ]; then pull_input="url = \"$source\""; else pull_input=$source; fi
    pull_capture "${tool[@]}" || return 0
    while read -r line; do
      line=${line%$'\r'}
      case $line in
        HTTP/*' 200'*) good=yes pull_total=0 ;;
        HTTP/*) good='' pull_total=0 ;;
        [Cc]ontent-[Ll]ength:*) [[ $good,${line#*:} =~ ^yes,\ *([0-9]{1,18})$ ]] && pull_total=${BASH_REMATCH[1]} ;;
      esac
    done < <(printf '%s\n' "$pull_output" 9>&-)
    if ((pull_total > 0)); then return 0; fi
  done
}

# Runs one downloader in the background, its sources on standard input (not in its arguments, which everybody on the
# node can read). Arguments: TOOL URL... Status: the tool's; sets pull_code (curl: the HTTP status).
pull_run() {
  local status=0 argv
  pull_tool=$1 pull_code=''
  shift
  case $pull_tool in
    aria2c)
      argv=(aria2c --no-conf --quiet --dry-run=false -i - --file-allocation=none --disk-cache=0 --follow-metalink=false
        --follow-torrent=false --allow-overwrite=true --auto-file-renaming=false --remote-time=false --no-netrc=true
        --connect-timeout="$pull_connect_timeout" --timeout="$pull_slow_time" --lowest-speed-limit="$pull_slow_speed"
        --max-tries=2 --retry-wait=1 --split=8 --max-connection-per-server=4
        --min-split-size=8M --stop-with-process="$BASHPID")
      printf -v pull_input '%s\t' "$@"
      pull_input+=$'\n'" dir=$pull_cache"$'\n'" out=${pull_part##*/}"
      ;;
    curl)
      argv=(curl -q -g -s -f -L --max-redirs 5 --proto '=http,https' --connect-timeout "$pull_connect_timeout"
        --speed-limit "$pull_slow_speed" --speed-time "$pull_slow_time" -C - -o "$pull_part" -w '%{http_code}' -K -)
      pull_input="url = \"$1\""
      ;;
    wget)
      argv=(wget -q --tries=3 --waitretry=1 --max-redirect=5 --dns-timeout="$pull_connect_timeout"
        --connect-timeout="$pull_connect_timeout" --read-timeout="$pull_slow_time" -O "$pull_part" -i -)
      pull_input=$1
      ;;
  esac
  "${argv[@]}" < <(printf '%s\n' "$pull_input") >"$pull_part.code" 2>/dev/null 9>&- &
  pull_watch $! "$pull_part" "$1" || status=$?
  { read -r pull_code <"$pull_part.code"; } 2>/dev/null
  return "$status"
}

# What a downloader's failure means: sets pull_words, pull_why (a reason) and pull_again (not empty: worth another
# try). Arguments: STATUS.
pull_explain() {
  pull_words="gave no file ($pull_tool ended with status $1)" pull_why=unreachable pull_again=''
  if [ -n "$pull_slow" ]; then
    pull_words="sent fewer than $pull_slow_speed bytes a second for $pull_slow_time seconds"
    return
  fi
  case $pull_tool:$1 in
    *:137 | *:143) pull_words="was not read to its end ($pull_tool was killed)" pull_again=yes ;;
    curl:3 | curl:1) pull_words='is not (or leads to something that is not) an http(s) address' ;;
    curl:5 | curl:6 | aria2c:19) pull_words="has a host name that cannot be resolved" ;;
    curl:7 | wget:4 | aria2c:6) pull_words="cannot be reached (no connection)" ;;
    curl:18 | curl:5[256] | curl:92) pull_words="broke off before the end" pull_again=yes ;;
    curl:22) pull_words="answered $pull_code" ;;
    curl:23 | wget:3 | aria2c:9 | aria2c:1[5678]) pull_why=no_space pull_words="cannot be written to $pull_cache" ;;
    curl:28 | aria2c:2 | aria2c:5) pull_words="did not answer in time or was too slow" pull_again=yes ;;
    curl:33) pull_words="cannot continue a broken transfer" pull_again=yes ;;
    curl:47 | aria2c:23) pull_words="redirects too often" ;;
    curl:35 | curl:5[1348] | curl:60 | curl:77 | curl:8[0-3] | curl:9[01] | wget:5) pull_words="has no valid TLS" ;;
    wget:6 | aria2c:24) pull_words="asks for a password" ;;
    wget:8 | aria2c:22) pull_words="answered with an HTTP error" ;;
    aria2c:3) pull_words="answered 404" ;;
    aria2c:29) pull_words="answered 503" pull_again=yes ;;
  esac
  case $pull_tool:$pull_code in curl:408 | curl:429 | curl:5??) pull_again=yes ;; esac
  return 0
}

# Verifies what has arrived. Arguments: SOURCE. Status 1: it is not the image (the source has been blamed).
pull_verify() {
  pull_got=$(stat -c %s -- "$pull_part" 2>/dev/null 9>&-) || pull_got=0
  pull_kind "$pull_part"
  if ! pull_hash "$pull_part"; then return 1; fi
  if [ -n "$pull_want" ] && [ "$pull_sum" = "$pull_want" ]; then return 0; fi
  if [ -n "$pull_page" ]; then
    pull_blame_source not_an_image "$1" "sent $pull_got bytes that are not an image (a web page or a message)"
  elif [ -n "$pull_want" ]; then
    pull_blame_source wrong_digest "$1" "sent $pull_got bytes with another digest, sha256:$pull_sum"
  else
    return 0
  fi
  return 1
}

# Downloads from one source into pull_part, trying again where that can help, and verifies. Arguments: TOOL URL.
pull_from_one() {
  local tries=3 most=10 status before=0
  pull_remove "$pull_part"*
  while ((tries > 0)); do
    status=0 tries=$((tries - 1)) most=$((most - 1))
    # without a digest nothing shows that the file has changed between two tries, so that each starts anew
    if [ -z "$pull_want" ] || [ "$1" != curl ]; then pull_remove "$pull_part"*; fi
    pull_run "$1" "$2" || status=$?
    if pull_stopping; then return 1; fi
    # 416: the try before had brought the last byte
    if ((status == 0)) || { [ "$pull_code" = 416 ] && [ -s "$pull_part" ]; }; then
      if pull_verify "$2"; then return 0; else return 1; fi
    fi
    pull_explain "$status"
    pull_measure "$pull_part"
    if ((status == 33)); then pull_remove "$pull_part"; fi
    if [ -z "$pull_again" ]; then break; fi
    if [ -n "$pull_want" ] && ((pull_got > before && most > 0)); then
      before=$pull_got tries=$((tries ? tries : 1)) # it came further: go on at once
      continue
    fi
    if ((tries > 0)); then pull_pause $((4 + RANDOM % 4 * 2)) || return 1; fi
  done
  pull_blame_source "$pull_why" "$2" "$pull_words"
  return 1
}

# Fills pull_part with the verified image, from all sources at once or one by one. Status 1: from none.
pull_download() {
  local url tool
  for tool in curl aria2c wget none; do if command -v "$tool" >/dev/null; then break; fi; done
  if [ "$tool" = none ]; then
    pull_blame+=("there is no curl, aria2c or wget on this node")
    return 1
  fi
  # without a digest the parts of different files could not be told from each other
  if [ -n "$pull_want" ] && command -v aria2c >/dev/null; then
    if pull_run aria2c "${pull_urls[@]}"; then
      if [ "${#pull_urls[@]}" = 1 ]; then
        if pull_verify "${pull_urls[0]}"; then return 0; else return 1; fi
      fi
      pull_hash "$pull_part" && [ "$pull_sum" = "$pull_want" ] && pull_kind "$pull_part" && return 0
    fi
    if pull_stopping; then return 1; fi
    pull_hook pull_on_log "the sources together gave no image: trying one by one"
  fi
  for url in "${pull_urls[@]}"; do
    if pull_from_one "$tool" "$url"; then return 0; fi
    if pull_stopping; then return 1; fi
    if [ "$pull_worst" = no_space ]; then return 1; fi
  done
  return 1
}

# ---- what others call -----------------------------------------------------------------------------------------

# Makes sure that CACHE has the image, whole and verified, or finds it in place. Arguments: CACHE DIGEST REF [MIRROR...]
# (DIGEST: sha256:<64 hex>, or empty: then only the transfer is checked). Sets pull_path, pull_digest, pull_cached
# (true: this call downloaded nothing) and pull_bytes; on failure pull_reason and pull_message, and status 1.
pull_image() {
  pull_begin "$1"
  pull_want=${2,,} pull_want=${pull_want#sha256:}
  shift 2
  pull_sources=("$@") pull_urls=()
  pull_check_request "$1" || return 1
  if pull_present && pull_accept; then pull_finish true && return 0; fi
  if pull_stopping; then pull_fail interrupted "stopped before the image was looked for"; return 1; fi
  if pull_in_place quick; then pull_finish true && return 0; fi
  if ! pull_prepare; then
    if pull_in_place full; then pull_finish true && return 0; fi
    pull_fail cache_not_writable "the image is not in $pull_cache, and nothing can be written there by $(id -un 2>/dev/null || echo this user)"
    return 1
  fi
  while :; do
    pull_suspect=''
    if pull_present; then
      # verified without the lock, so that a hundred waiters do it side by side
      if pull_accept; then pull_finish true && return 0; fi
      pull_suspect=$(stat -L -c '%i %Z' -- "$pull_path" 2>/dev/null)
      if pull_stopping; then pull_fail interrupted "stopped while the image was being verified"; return 1; fi
    fi
    pull_lock "$pull_key" || return 1
    if ! pull_present; then break; fi
    if [ -n "$pull_suspect" ] && [ "$pull_suspect" = "$(stat -L -c '%i %Z' -- "$pull_path" 2>/dev/null 9>&-)" ]; then
      if pull_remove "$pull_path"; then break; fi
      pull_fail wrong_digest "$pull_path cannot be read or has another digest, and cannot be replaced"
      return 1
    fi
    pull_unlock
  done
  pull_get
}

# Checks what was asked for; sets pull_key and pull_urls. Arguments: REF.
pull_check_request() {
  local source
  if [ -n "$pull_want" ] && ! [[ $pull_want =~ ^[0-9a-f]{64}$ ]]; then
    pull_fail wrong_digest "the image's digest is not sha256: and 64 hexadecimal digits"
    return 1
  fi
  for source in "${pull_sources[@]}"; do
    # the gateway puts what it built (built:NAME) into the cache before it submits a job
    case $source in /?* | file:///?* | built:?*) continue ;; esac
    # an address without blanks, quotes and control characters is one word in a downloader's input
    if [[ ${source,,} =~ ^https?://[^[:space:][:cntrl:]\"\\]+$ ]]; then
      pull_urls+=("$source")
      continue
    fi
    pull_show "$source"
    pull_fail unreachable "an image source is neither an http(s) address nor an absolute path on the node: $pull_shown"
    return 1
  done
  pull_key=$pull_want
  if [ -z "$pull_key" ]; then
    pull_key=$(printf '%s' "$1" | sha256sum) && pull_key=ref-${pull_key%% *}
  fi
}

# Under the lock: gets the image from the first source that has it, and publishes it.
pull_get() {
  local words
  if pull_in_place full; then
    pull_unlock
    pull_finish true && return 0
  fi
  if pull_stopping; then pull_fail interrupted "stopped before the download"; return 1; fi
  pull_reap "$pull_key"
  pull_part=$pull_cache/$pull_key.$pull_host.$BASHPID.part
  if [ "${#pull_urls[@]}" != 0 ]; then
    pull_ask_length
    if ! pull_room "$((pull_total + pull_total / 64))"; then
      pull_fail no_space "the image has $pull_total bytes, and only $pull_free are free in $pull_cache"
      return 1
    fi
    if pull_download; then
      if pull_publish; then
        pull_unlock
        pull_finish false && return 0
      fi
      pull_stopping || pull_blame_source no_space "$pull_cache" "does not take the verified image"
    fi
  fi
  if pull_stopping; then pull_fail interrupted "stopped during the download"; return 1; fi
  case ${pull_sources[0]} in
    built:*)
      pull_fail unreachable "the image ${pull_sources[0]#built:}, which the gateway had put into $pull_cache, is not there any more; a new attempt of the job brings it again"
      return 1
      ;;
  esac
  printf -v words '; %s' ${pull_blame[@]+"${pull_blame[@]}"}
  pull_fail "${pull_worst:-unreachable}" "no source gave the image${pull_want:+ sha256:$pull_want}: ${words#; }"
}

# Ends a call with success. Arguments: whether it was there already (true, false).
pull_finish() {
  # shellcheck disable=SC2034 # read by the caller
  pull_cached=$1
  pull_bytes=$(stat -L -c %s -- "$pull_path" 2>/dev/null) || pull_bytes=0
  pull_reason='' pull_message=''
}

# ---- unpacked folders -----------------------------------------------------------------------------------------

# Sets pull_number to the little-endian number of COUNT bytes at INDEX of the array pull_table.
pull_number() {
  local i
  pull_number=0
  for ((i = $1 + $2 - 1; i >= $1; i--)); do pull_number=$((pull_number << 8 | ${pull_table[i]:-0})); done
}

# Reads bytes of a file into the array pull_table. Arguments: FILE OFFSET COUNT.
pull_read() { IFS=$' \t\n' read -r -d '' -a pull_table < <(od -An -v -tu1 -j "$2" -N "$3" -- "$1" 2>/dev/null 9>&-) || :; }

# Finds the squashfs file system in an image: sets pull_offset and pull_length (0: to the end). Status 1: none, and
# pull_words says why. A SIF has a table of descriptors, 585 bytes each; a Singularity 2 image one line of text before.
pull_partition() {
  local at count type system
  pull_offset=0 pull_length=0
  pull_kind "$1"
  if [ "$pull_suffix" = sif ]; then
    pull_read "$1" 88 16
    pull_number 0 8 && count=$pull_number
    pull_number 8 8 && at=$pull_number
    if ((count < 1 || count > 4096)); then count=0; fi
    pull_read "$1" "$at" $((count * 585))
    for ((at = 0; at < count * 585; at += 585)); do
      pull_number $((at + 205)) 4 && system=$pull_number
      pull_number "$at" 4 && type=$pull_number
      # a used descriptor (1) of a partition (0x4004) that is the primary system (2)
      if ((type != 0x4004 || system != 2 || ${pull_table[at + 4]:-0} != 1)); then continue; fi
      pull_number $((at + 17)) 8 && pull_offset=$pull_number
      pull_number $((at + 25)) 8 && pull_length=$pull_number
      break
    done
    if ((pull_offset == 0)); then pull_words="has no system partition" && return 1; fi
  elif [ "$pull_suffix" = img ]; then
    pull_offset=31
  fi
  pull_read "$1" "$pull_offset" 4
  if [ "${pull_table[*]:-}" = "104 115 113 115" ]; then return 0; fi # hsqs
  pull_words="holds no squashfs file system" && return 1
}

# Lists a folder: type, size of files, path; sorted.
pull_list() {
  (cd -- "$1" && find . -mindepth 1 \( -type f -printf 'f %s %P\n' -o -printf '%y - %P\n' \)) 2>/dev/null 9>&- |
    LC_ALL=C sort 9>&-
}

# Whether the unpacked folder has everything that its list names (scratch file systems are purged file by file).
# What a runtime added (mount points) does not matter.
pull_tree_whole() {
  [ -d "$pull_folder" ] && [ -s "$pull_folder.list" ] || return 1
  if [ "${pull_folder##*.}" = "u$EUID" ]; then [ -O "$pull_folder" ] && [ -O "$pull_folder.list" ] || return 1; fi
  [ -z "$(LC_ALL=C comm -23 "$pull_folder.list" <(pull_list "$pull_folder") 2>&1 | head -n 1)" ]
}

# Derives the unpacked folder of an image, once: <cache>/<hex>/ with <hex>.list beside it (<hex>.u<uid> in a cache that
# others can write: a folder is too large to be verified before each use, so that it must be one's own). Sets
# pull_folder; on failure pull_reason and pull_message, and status 1. Arguments: CACHE IMAGE.
pull_unpack() {
  local name='' known='' cached=false bytes=0
  if [ "$2" = "${pull_path:-}" ]; then known=${pull_digest:-} cached=${pull_cached:-false} bytes=${pull_bytes:-0}; fi
  pull_begin "$1"
  # what pull_image said of this image stays
  pull_path=$2 pull_digest=$known pull_cached=$cached pull_bytes=$bytes
  name=${known#sha256:} known=${2##*/}
  if [ -z "$name" ] && [[ $known =~ ^[0-9a-f]{64}\.(sif|sqfs|img)$ ]]; then name=${known%.*}; fi
  if [ -z "$name" ]; then
    pull_hash "$2" || { pull_fail interrupted "the image $2 cannot be read to its end" && return 1; }
    name=$pull_sum
  fi
  if ! pull_prepare && [ ! -d "$pull_cache/$name" ]; then
    pull_fail cache_not_writable "the image is not unpacked in $pull_cache, and nothing can be written there"
    return 1
  fi
  if ! pull_trusted; then name+=.u$EUID; fi
  pull_folder=$pull_cache/$name
  if pull_tree_whole; then return 0; fi
  if ! command -v unsquashfs >/dev/null; then
    pull_fail unpack_failed "this node has no unsquashfs (package squashfs-tools), which the runtime needs to unpack the image"
    return 1
  fi
  if ! pull_partition "$2"; then
    pull_fail not_an_image "the image $2 $pull_words"
    return 1
  fi
  pull_lock "$name.unpack" || return 1
  pull_folder=$pull_cache/$name
  if pull_tree_whole; then
    pull_unlock
    return 0
  fi
  pull_reap "$name"
  pull_part=$pull_cache/$name.$pull_host.$BASHPID.part
  if ! pull_derive "$2" || ! pull_settle; then
    if pull_stopping; then
      pull_fail interrupted "stopped while the image was being unpacked"
    elif ! pull_room 1048576; then
      pull_fail no_space "the unpacked image has no room in $pull_cache ($pull_free bytes are free)"
    else
      pull_fail unpack_failed "the image $2 cannot be unpacked: ${pull_words}"
    fi
    return 1
  fi
  pull_unlock
}

# Unpacks an image to pull_part. Arguments: IMAGE. Status 1: pull_words says why.
pull_derive() {
  local status=0 image=$1 from=()
  if ((pull_offset > 0)); then from=(-o "$pull_offset"); fi
  if ((pull_offset > 0)) && ! unsquashfs -help 2>&1 9>&- | grep -q -e '-o\[' 9>&-; then
    # before 4.4 it cannot start inside a file
    image=$pull_part.sqfs from=()
    { tail -c "+$((pull_offset + 1))" -- "$1" | head -c "$((pull_length ? pull_length : 1 << 62))"; } >"$image" 9>&-
  fi
  unsquashfs -no-progress -no-xattrs ${from[@]+"${from[@]}"} -d "$pull_part" "$image" </dev/null >/dev/null \
    2>"$pull_part.err" 9>&- &
  pull_watch $! '' '' || status=$?
  pull_words="unsquashfs ended with status $status"
  if pull_stopping || [ ! -d "$pull_part" ]; then return 1; fi
  # status 2: something could not be made, as device nodes by an ordinary user
  if ((status == 2)) && pull_complete "$image" ${from[@]+"${from[@]}"}; then return 0; fi
  if ((status != 0)); then pull_words+=": $(head -c 300 -- "$pull_part.err" 2>/dev/null)"; fi
  return "$status"
}

# Compares what is unpacked with the image's own listing, device nodes aside. Arguments: IMAGE OPTION...
pull_complete() {
  local image=$1 mode size expected=0,0,0,0 line files=0 bytes=0 folders=0 links=0
  shift
  while read -r mode _ size _; do
    case $mode in
      -?????????) files=$((files + 1)) bytes=$((bytes + size)) ;;
      d?????????) folders=$((folders + 1)) ;;
      l?????????) links=$((links + 1)) ;;
    esac
  done < <(unsquashfs -no-progress -ll "$@" "$image" 2>/dev/null 9>&-)
  expected=$files,$bytes,$folders,$links files=0 bytes=0 folders=0 links=0
  while read -r mode size; do
    case $mode in
      f) files=$((files + 1)) bytes=$((bytes + size)) ;;
      d) folders=$((folders + 1)) ;;
      l) links=$((links + 1)) ;;
    esac
  done < <(find "$pull_part" -printf '%y %s\n' 2>/dev/null 9>&-)
  [ "$expected" = "$files,$bytes,$folders,$links" ]
}

# Makes the mount points that runtimes need in a root that they mount read-only, writes the list, publishes by rename.
pull_settle() {
  local name
  find "$pull_part" -type d ! -perm -0700 -exec chmod u+rwx {} + 2>/dev/null 9>&-
  for name in dev proc sys tmp run etc home job; do
    if [ ! -e "$pull_part/$name" ] && [ ! -L "$pull_part/$name" ]; then mkdir -- "$pull_part/$name" 9>&-; fi
  done
  for name in passwd group hosts resolv.conf; do
    if [ -d "$pull_part/etc" ] && [ ! -e "$pull_part/etc/$name" ] && [ ! -L "$pull_part/etc/$name" ]; then
      : >"$pull_part/etc/$name"
    fi
  done
  pull_words="its list cannot be written"
  if pull_stopping || ! pull_list "$pull_part" >"$pull_part.list" || [ ! -s "$pull_part.list" ]; then return 1; fi
  pull_words="the folder cannot take its name $pull_folder"
  if [ -e "$pull_folder" ]; then mv -T -- "$pull_folder" "$pull_part.old" 9>&- || return 1; fi
  mv -f -- "$pull_part.list" "$pull_folder.list" 9>&- && mv -T -- "$pull_part" "$pull_folder" 9>&- || return 1
  pull_remove "$pull_part"*
  pull_part=''
}

# ---- the program ----------------------------------------------------------------------------------------------

# Pulls, prints the image's path (with --unpack: the unpacked folder's). Status: 0; 1 failed; 2 usage; 143 stopped.
pull_main() {
  local unpack=''
  if [ "${1:-}" = --unpack ]; then unpack=yes && shift; fi
  if [ $# -lt 3 ] || [ -z "$1" ] || [ -z "$3" ]; then
    echo "usage: pull.sh [--unpack] CACHE DIGEST REF [MIRROR...]   (DIGEST: sha256:<64 hex>, or '')" >&2
    return 2
  fi
  gw_stop=''
  trap 'gw_stop=yes' TERM INT HUP
  # shellcheck disable=SC2329 # called by pull_hook
  pull_on_log() { printf 'pull: %s\n' "$1" >&2; }
  if pull_image "$@" && { [ -z "$unpack" ] || pull_unpack "$1" "$pull_path"; }; then
    printf '%s\n' "${pull_folder:-$pull_path}"
    return 0
  fi
  printf 'pull: %s: %s\n' "$pull_reason" "$pull_message" >&2
  if [ "$pull_reason" = interrupted ]; then return 143; fi
  return 1
}

if [ "${BASH_SOURCE[0]:-}" = "$0" ] && [ -z "${GW_INLINED:-}" ]; then
  set -u
  pull_main "$@"
  exit
fi
