# shellcheck shell=bash
# pull.sh: who uses which image, and room for others. Below <cache>/.uses there are, for each image, <key>.used, whose
# time is that of its last use, and a mark of each use that lasts, <key>.use.<name>, which holds the second of the epoch
# until which it counts. Nothing on a node removes an image: the gateway calls pull_evict.

# Notes that the image KEY is in use from now on, by pull_use_name for pull_use_for seconds. Where nothing can be written
# nothing is noted: nobody removes images there either.
pull_mark() {
  local folder=$pull_cache/.uses now mark used
  if [ ! -d "$folder" ]; then mkdir -- "$folder" 2>/dev/null && pull_share "$folder" rwx; fi
  if [ ! -w "$folder" ]; then return 0; fi
  printf -v now '%(%s)T' -1
  mark=$folder/$1.use.$pull_use_name used=$folder/$1.used
  if [ ! -e "$mark" ]; then (: >>"$mark") 2>/dev/null && pull_share "$mark" r; fi
  if [ ! -e "$used" ]; then (: >>"$used") 2>/dev/null && pull_share "$used" rw; fi
  { printf '%s\n' "$((now + pull_use_for))" >"$mark"; } 2>/dev/null
  { printf '\n' >"$used"; } 2>/dev/null
  return 0
}

# Ends every use of images by somebody. Arguments: CACHE NAME (what pull_use_name was).
pull_release() {
  rm -f -- "${1%/}/.uses/"*.use."$2" 2>/dev/null 9>&-
  return 0
}

# Whether somebody uses the image KEY; marks whose time is over are removed.
pull_in_use() {
  local mark until now status=1
  printf -v now '%(%s)T' -1
  for mark in "$pull_cache/.uses/$1".use.*; do
    if [ ! -e "$mark" ]; then continue; fi
    until=''
    { read -r until <"$mark"; } 2>/dev/null
    # one that is just being written is empty
    if ! [[ $until =~ ^[0-9]{1,15}$ ]]; then until=$(($(stat -c %Y -- "$mark" 2>/dev/null || echo "$now") + 60)); fi
    if ((until > now)); then status=0; else rm -f -- "$mark" 9>&-; fi
  done
  return "$status"
}

# Removes images of CACHE, the one that was used last at the very end, until all that is left takes at most LIMIT bytes;
# never one that is in use, that KEEP names, or that somebody is pulling or unpacking now. It waits for nobody.
# Prints "evicted KEY BYTES" and "kept KEY BYTES in_use|wanted|locked|not_removable" as it goes, and in the end
# "left BYTES". Status 1: more than LIMIT is left; pull_reason and pull_message say why. Arguments: CACHE LIMIT [KEEP...]
# (keys: <hex> or sha256:<hex>). The gateway runs it over SSH, with the whole of this file on the standard input of bash:
#   GW_INLINED=1; <the joined pull.sh>; pull_evict /the/cache 500000000000 sha256:…
# and sites by hand: bash pull.sh --evict CACHE LIMIT [KEEP...]
pull_evict() {
  local limit=$2 keep left=0 key bytes used rows=()
  pull_begin "$1"
  shift 2
  keep=" ${*//sha256:/} "
  if ! [[ $limit =~ ^[0-9]{1,18}$ ]]; then pull_fail usage "the limit is not a number of bytes" && return 1; fi
  if ! pull_prepare; then
    pull_fail cache_not_writable "nothing can be removed from $pull_cache by $(id -un 2>/dev/null || echo this user)"
    return 1
  fi
  while read -r used bytes key; do rows+=("$key $bytes") left=$((left + bytes)); done < <(pull_stock | sort -n 9>&-)
  for key in ${rows[@]+"${rows[@]}"}; do
    if ((left <= limit)) || pull_stopping; then break; fi
    bytes=${key#* } key=${key% *}
    case $keep in *" $key "*) printf 'kept %s %s wanted\n' "$key" "$bytes" && continue ;; esac
    pull_evict_one "$key" "$bytes" && left=$((left - bytes))
  done
  printf 'left %s\n' "$left"
  if ((left <= limit)); then return 0; fi
  pull_reason=no_space pull_message="$left bytes are left in $pull_cache, and the limit is $limit: the others are needed"
  return 1
}

# Sets pull_files to what is there of the image KEY: first its file, then what was derived from it.
pull_family() {
  local file
  pull_files=()
  for file in "$pull_cache/$1".{sif,sqfs,img} "$pull_cache/$1"{,.list,.digest} "$pull_cache/$1".u[0-9]*; do
    if [ -e "$file" ]; then pull_files+=("$file"); fi
  done
}

# Lists the images of the cache: the second of the last use, bytes (those of unpacked folders too) and key.
pull_stock() {
  local file key used bytes known=' '
  for file in "$pull_cache"/*.{sif,sqfs,img,list}; do
    key=${file##*/} key=${key%%.*}
    if ! [[ $key =~ ^(ref-)?[0-9a-f]{64}$ ]] || [ ! -f "$file" ]; then continue; fi
    case $known in *" $key "*) continue ;; esac
    known+="$key "
    used=$(stat -c %Y -- "$pull_cache/.uses/$key.used" 2>/dev/null || stat -c %Y -- "$file" 2>/dev/null) || continue
    pull_family "$key"
    bytes=$(du -s -c -B1 -- "${pull_files[@]}" 2>/dev/null | tail -n 1) bytes=${bytes%%[!0-9]*}
    printf '%s %s %s\n' "$used" "${bytes:-0}" "$key"
  done
}

# Takes one image away, under its lock: by rename, and back again should somebody have begun to use it meanwhile.
# Arguments: KEY BYTES. Prints what became of it. Status 1: it is still there.
pull_evict_one() {
  local trash=$pull_cache/$1.$pull_host.$BASHPID.part why='' file moved=() number pull_lock_timeout=0
  if pull_in_use "$1"; then
    why=in_use
  elif ! pull_lock "$1"; then
    why=locked
  else
    pull_family "$1"
    for file in ${pull_files[@]+"${pull_files[@]}"}; do
      if [ -z "$why" ]; then mv -T -- "$file" "$trash.${#moved[@]}" 2>/dev/null 9>&- || why=not_removable; fi
      if [ -z "$why" ]; then moved+=("$file"); fi
    done
    if [ -z "$why" ] && pull_in_use "$1"; then why=in_use; fi
    for ((number = ${#moved[@]} - 1; number >= 0; number--)); do
      if [ -n "$why" ]; then mv -n -T -- "$trash.$number" "${moved[number]}" 2>/dev/null 9>&-; fi
    done
    if [ -z "$why" ]; then pull_remove "$trash".*; fi
    pull_unlock
  fi
  pull_reason='' pull_message=''
  if [ -n "$why" ]; then
    printf 'kept %s %s %s\n' "$1" "$2" "$why"
    return 1
  fi
  rm -f -- "$pull_cache/.uses/$1.used" 2>/dev/null 9>&-
  printf 'evicted %s %s\n' "$1" "$2"
}
