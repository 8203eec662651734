# shellcheck shell=bash
# pull.sh: what others call, and the program. The last part: see pull_base.sh.

# Makes sure that CACHE has the image, whole and verified, or finds it in place. Arguments: CACHE DIGEST REF [MIRROR...]
# (DIGEST: sha256:<64 hex>, or empty: then only the transfer is checked). Sets pull_path, pull_digest, pull_cached
# (true: this call downloaded nothing) and pull_bytes; on failure pull_reason and pull_message, and status 1.
pull_image() {
  pull_begin "$1"
  pull_want=${2,,} pull_want=${pull_want#sha256:}
  shift 2
  pull_sources=("$@") pull_urls=()
  pull_check_request "$1" || return 1
  if [ -n "$pull_read_only_caches" ] && pull_seeded; then pull_finish true && return 0; fi
  if pull_present && pull_accept && pull_finish true; then return 0; fi
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
      if pull_accept; then
        if pull_finish true; then return 0; fi
        continue # somebody has made room
      fi
      pull_suspect=$(stat -L -c '%i %Z' -- "$pull_path" 2>/dev/null)
      if pull_stopping; then pull_fail interrupted "stopped while the image was being verified"; return 1; fi
    fi
    pull_lock "$pull_key" pull_arrived || return 1
    if [ -n "$pull_needless" ]; then continue; fi
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
    case $source in /?* | file:///?* | built:?* | cvmfs:?*) continue ;; esac
    if [[ ${source,,} =~ $pull_address ]]; then
      pull_urls+=("$source")
      continue
    fi
    pull_show "$source"
    pull_fail unreachable "an image source is neither an http(s) address nor an absolute path on the node: $pull_shown"
    return 1
  done
  if [ -n "$pull_metalink" ] && ! pull_read_metalink "$pull_metalink"; then
    pull_hook pull_on_log "doing without the metalink: $pull_words"
  fi
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
  pull_part=$pull_cache/$pull_key.$pull_host.$BASHPID.part
  if [ "${#pull_urls[@]}" != 0 ] && ((pull_piece > 0)) && pull_adopt "$pull_key"; then
    pull_hook pull_on_log "going on with what an earlier process has brought"
    pull_scan
  fi
  pull_reap "$pull_key"
  if [ "${#pull_urls[@]}" != 0 ]; then
    pull_ask_length
    pull_measure "$pull_part"
    if ! pull_room "$((pull_total + pull_total / 64 - pull_got))"; then
      pull_fail no_space "the image has $pull_total bytes, and only $pull_free are free in $pull_cache"
      return 1
    fi
    if pull_download; then
      if pull_publish; then
        pull_finish false
        pull_unlock
        return 0
      fi
      pull_stopping || pull_blame_source no_space "$pull_cache" "does not take the verified image"
    fi
  fi
  if pull_stopping; then pull_fail interrupted "stopped during the download"; return 1; fi
  printf -v words '; %s' ${pull_blame[@]+"${pull_blame[@]}"}
  if [ -n "$pull_late" ]; then
    pull_fail time_limit "the image did not arrive within $pull_time_limit seconds${words%; }"
    return 1
  fi
  case ${pull_sources[0]} in
    built:*)
      pull_fail unreachable "the image ${pull_sources[0]#built:}, which the gateway had put into $pull_cache, is not there any more; a new attempt of the job brings it again"
      return 1
      ;;
  esac
  pull_fail "${pull_worst:-unreachable}" "no source gave the image${pull_want:+ sha256:$pull_want}: ${words#; }"
}

# Whether the image has been published meanwhile.
pull_arrived() { pull_present; }

# Ends a call with success, and notes that the image is in use. Arguments: whether it was there already (true, false).
# Status 1: it is not there any more.
pull_finish() {
  case $pull_path in "$pull_cache/$pull_key".*) pull_mark "$pull_key" ;; esac
  if [ ! -e "$pull_path" ]; then return 1; fi
  # shellcheck disable=SC2034 # read by the caller
  pull_cached=$1
  pull_bytes=$(stat -L -c %s -- "$pull_path" 2>/dev/null) || pull_bytes=0
  pull_reason='' pull_message=''
}

# ---- the program ----------------------------------------------------------------------------------------------

# Pulls, prints the image's path (with --unpack: the unpacked folder's); or makes room (--evict). Status: 0; 1 failed;
# 2 usage; 143 stopped.
pull_main() {
  local unpack='' evict=''
  while :; do
    case ${1:-} in
      --unpack) unpack=yes ;;
      --evict) evict=yes ;;
      --metalink)
        if [ $# -lt 2 ]; then break; fi
        pull_metalink=$2
        shift
        ;;
      *) break ;;
    esac
    shift
  done
  if [ -n "$evict" ] && [ $# -ge 2 ] && [ -d "$1" ]; then
    pull_evict "$@" && return 0
    printf 'pull: %s: %s\n' "$pull_reason" "$pull_message" >&2
    return 1
  fi
  if [ $# -lt 3 ] || [ -z "$1" ] || [ -z "$3" ] || [ -n "$evict" ]; then
    echo "usage: pull.sh [--unpack] [--metalink FILE] CACHE DIGEST REF [MIRROR...]   (DIGEST: sha256:<64 hex>, or '')" >&2
    echo "       pull.sh --evict CACHE BYTES [KEEP...]" >&2
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
