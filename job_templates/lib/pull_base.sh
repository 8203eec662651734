#!/bin/bash
# The atomic image pull: one whole, verified copy of an image per cache, however many processes ask at once.
# Sourced or inlined it only defines functions. As a program: bash pull.sh CACHE DIGEST REF [MIRROR...]
# Its parts are joined to one file: what is written here, the lock, the cache, marks of use, pieces, ranges, downloads,
# unpacked folders, and last what others call.
#
# A final name (<hex>.sif, .sqfs, .img, <hex>/) only ever appears by link or rename of something whole. The lock
# only spares work: were it to fail, two processes would download the same image, and one of them would publish.
#
# Read:  gw_stop (not empty: give up now) and the settings of pull_begin. Descriptor 9 holds the lock.
# Hooks: pull_on_progress BYTES TOTAL SOURCE, pull_on_wait BYTES, pull_on_log LINE, where they are defined.

# Starts a call: resets what it answers, and reads the settings. Arguments: CACHE.
pull_begin() {
  pull_path='' pull_digest='' pull_cached=false pull_bytes=0 pull_folder='' pull_reason='' pull_message=''
  pull_blame=() pull_part='' pull_total=0 pull_beat='' pull_lease='' pull_suspect='' pull_worst='' pull_late=''
  pull_piece=0 pull_hashes=() pull_have=() pull_feed='' pull_out='' pull_half=0 pull_tool=''
  pull_address='^https?://[^[:space:][:cntrl:]"\\]+$' # one word in a downloader's input
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
  : "${pull_time_limit:=0}"           # seconds for all of it; 0: none
  : "${pull_max_rate:=0}"             # bytes a second of a download; 0: as fast as it goes
  : "${pull_retry_after:=120}"        # seconds that a mirror may ask to be left alone for (Retry-After)
  : "${pull_metalink:=}"              # a file: size, hashes of pieces and further addresses of the image
  : "${pull_read_only_caches:=}"      # folders with images, looked at first: /a:/b
  : "${pull_use_name:=$pull_host.$EUID}" # who says that the image is in use …
  : "${pull_use_for:=86400}"          # … for so many seconds from now on
  pull_use_name=${pull_use_name//[^A-Za-z0-9_.-]/_}
  pull_deadline=$((SECONDS + pull_time_limit))
}

# Ends a call without success. Arguments: REASON MESSAGE. Status: 1.
pull_fail() {
  pull_path='' pull_folder='' pull_reason=$1 pull_message=${2//[$'\n\r']/ }
  pull_end_feed
  [ -z "$pull_part" ] || pull_remove "$pull_part"*
  pull_unlock
  return 1
}

# Whether somebody asked the script to stop.
pull_stopping() { [ -n "${gw_stop:-}" ]; }

# Whether it is no use to go on: somebody asked to stop, or the time is over (pull_late).
pull_gives_up() {
  if ((pull_time_limit > 0 && SECONDS >= pull_deadline)); then pull_late=yes; fi
  [ -n "$pull_late" ] || pull_stopping
}

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
  if [ -n "${pull_feed:-}" ]; then exec {pull_feed}>&-; fi
  if [ -n "${pull_out:-}" ]; then exec {pull_out}>&-; fi
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

# Waits for a child with a short poll, reporting the growth of FILE, and ends it when asked to stop, when it is too
# slow, or when the function CHECK, called each time, says so by its status. Sets pull_slow. Arguments: CHILD FILE SOURCE
# [CHECK] (FILE empty: nothing to measure). Status: the child's.
pull_watch() {
  local child=$1 pause=0.02 last=$SECONDS mark=0 since=$SECONDS status=0
  pull_slow='' pull_got=0
  pull_start_guard "$child"
  while pull_process "$child" && [ "$pull_parent" = "$BASHPID" ] && [ "$pull_state" != Z ]; do
    if pull_gives_up || ! ${4:-true}; then
      kill -KILL "$child" 2>/dev/null
      break
    fi
    sleep "$pause" 9>&-
    case $pause in 0.02) pause=0.05 ;; 0.05) pause=0.1 ;; *) pause=0.2 ;; esac
    if [ -z "$2" ] || [ "$SECONDS" = "$last" ]; then continue; fi
    last=$SECONDS
    pull_measure "$2"
    if ((pull_piece > 0 && pull_total > 0 && pull_got > pull_total)); then pull_got=$pull_total; fi
    pull_show "$3"
    pull_hook pull_on_progress "$pull_got" "$pull_total" "$pull_shown"
    if ((SECONDS - since < pull_slow_time)); then continue; fi
    if ((pull_got - mark < pull_slow_speed * pull_slow_time)); then
      pull_slow=yes
      kill -KILL "$child" 2>/dev/null
      break
    fi
    mark=$pull_got since=$SECONDS
  done
  { wait "$child" || status=$?; } 2>/dev/null
  { kill -KILL "$pull_guardian" && wait "$pull_guardian"; } 2>/dev/null
  return "$status"
}

# Sets pull_got to what has arrived in FILE, or at the descriptor pull_out (a file with holes counts only what is
# written).
pull_measure() {
  local sizes
  pull_got=0
  if [ -n "${pull_out:-}" ]; then
    pull_position
    pull_got=$pull_at
    return
  fi
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

# Sleeps, unless it is no use to go on. Arguments: tenths of a second, an even number.
pull_pause() {
  local left
  for ((left = $1; left > 0; left -= 2)); do
    if pull_gives_up; then return 1; fi
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

# Whether only this user (or root) can change FILEs of the cache, and the cache itself.
pull_trusted() { pull_own "$pull_cache" "$@"; }

# Whether only this user (or root) can change FILEs and folders.
pull_own() {
  local lines line IFS=$' \t\n'
  lines=$(stat -L -c '%u:%a' -- "$@" 2>/dev/null 9>&-) || return 1
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
