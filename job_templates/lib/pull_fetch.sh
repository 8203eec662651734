# shellcheck shell=bash
# pull.sh: downloads.

# Asks the sources in turn how long the image is, until one answers; sets pull_total, or leaves 0.
pull_ask_length() {
  if ((pull_total > 0)); then return 0; fi
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

# Runs one downloader in the background, its sources on standard input or in a file of this user (not in its arguments,
# which everybody on the node can read). Arguments: TOOL URL... (TOOL metalink: aria2c with the hashes of the pieces).
# Status: the tool's; sets pull_code (curl: the HTTP status) and pull_after (curl: Retry-After).
pull_run() {
  local status=0 argv check=true source=$2
  pull_tool=$1 pull_code='' pull_after=''
  shift
  if (($# > 1)); then source="$# mirrors"; fi
  case $pull_tool in
    aria2c | metalink)
      argv=(aria2c --no-conf --quiet --dry-run=false --file-allocation=none --disk-cache=0 --follow-metalink=false
        --follow-torrent=false --allow-overwrite=true --auto-file-renaming=false --remote-time=false --no-netrc=true
        --connect-timeout="$pull_connect_timeout" --timeout="$pull_slow_time" --lowest-speed-limit="$pull_slow_speed"
        --max-tries=2 --retry-wait=1 --split=8 --max-connection-per-server=4 --max-overall-download-limit="$pull_max_rate"
        --min-split-size=8M --stop-with-process="$BASHPID")
      if [ "$pull_tool" = metalink ]; then
        # no hash of the pieces that an earlier try has brought is trusted: all are read again
        argv+=(-M "$pull_part.meta4" --dir="$pull_cache" --metalink-enable-unique-protocol=false --check-integrity=true
          --stream-piece-selector=inorder --auto-save-interval=1)
        pull_tool=aria2c pull_input='' check=pull_follow_control pull_looked=''
      else
        argv+=(-i -)
        printf -v pull_input '%s\t' "$@"
        pull_input+=$'\n'" dir=$pull_cache"$'\n'" out=${pull_part##*/}"
      fi
      ;;
    curl)
      (umask 077 && : >"$pull_part.head") 2>/dev/null
      argv=(curl -q -g -s -f -L --max-redirs 5 --proto '=http,https' --connect-timeout "$pull_connect_timeout"
        --speed-limit "$pull_slow_speed" --speed-time "$pull_slow_time" --limit-rate "$pull_max_rate"
        -D "$pull_part.head" -C - -o "$pull_part" -K -)
      pull_input="url = \"$1\""
      ;;
    wget)
      argv=(wget -q --no-config --tries=3 --waitretry=1 --max-redirect=5 --dns-timeout="$pull_connect_timeout"
        --connect-timeout="$pull_connect_timeout" --read-timeout="$pull_slow_time" --limit-rate="$pull_max_rate"
        -O "$pull_part" -i -)
      pull_input=$1
      ;;
  esac
  "${argv[@]}" < <(printf '%s\n' "$pull_input") >/dev/null 2>&1 9>&- &
  pull_watch $! "$pull_part" "$source" "$check" || status=$?
  if [ "$pull_tool" = curl ]; then pull_read_head; fi
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

# Waits before another try, twice as long each time, and by chance shorter, so that not all come back at once.
# Arguments: the number of tries so far. Status 1: it is no use to go on.
pull_back_off() {
  local most=$((5 << $1))
  pull_pause $(((most / 2 + RANDOM % (most / 2 + 1)) / 2 * 2))
}

# Asks the mirrors in turn. One that wants to be asked again later has its turn after the others, when that time is over.
# Arguments: a function that takes an address (status 0: the image is there, 1: not from this one, 2: later) and what
# comes before the address. Status 1: it came from none.
pull_each() {
  local queue=("${pull_urls[@]}") ready=() turn url status left
  for ((turn = 0; turn < ${#queue[@]}; turn++)); do
    url=${queue[turn]} status=0 left=$((${ready[turn]:-0} - SECONDS))
    if ((left > 0)); then
      pull_show "$url"
      pull_hook pull_on_log "$pull_shown wants to be asked again in $left seconds"
      pull_pause $((left * 10)) || return 1
    fi
    "$@" "$url" || status=$?
    if ((status == 0)); then return 0; fi
    if pull_gives_up || [ "$pull_worst" = no_space ]; then return 1; fi
    if ((status == 1)); then continue; fi
    # a whole second more, because two clocks are compared
    left=$((pull_after < pull_retry_after ? pull_after + 1 : pull_retry_after))
    if ((turn >= 2 * ${#pull_urls[@]})); then
      pull_blame_source "$pull_why" "$url" "$pull_words, again and again"
    else
      ready[${#queue[@]}]=$((SECONDS + left))
      queue+=("$url")
    fi
  done
  return 1
}

# Downloads from one source into pull_part, trying again where that can help, and verifies. Arguments: TOOL URL. Status 2:
# it wants to be asked again after pull_after seconds.
pull_from_one() {
  local tries=3 most=10 status before=0
  pull_remove "$pull_part"*
  while ((tries > 0)); do
    status=0 tries=$((tries - 1)) most=$((most - 1))
    # without a digest nothing shows that the file has changed between two tries, so that each starts anew
    if [ -z "$pull_want" ] || [ "$1" != curl ]; then pull_remove "$pull_part"*; fi
    pull_run "$1" "$2" || status=$?
    if pull_gives_up; then return 1; fi
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
    if [ -n "$pull_after" ]; then return 2; fi
    if ((tries > 0)); then pull_back_off $((3 - tries)) || return 1; fi
  done
  pull_blame_source "$pull_why" "$2" "$pull_words"
  return 1
}

# Fills pull_part with the verified image, from all sources at once or one by one. Status 1: from none.
pull_download() {
  local tool
  for tool in curl aria2c wget none; do if command -v "$tool" >/dev/null; then break; fi; done
  if [ "$tool" = none ]; then
    pull_blame+=("there is no curl, aria2c or wget on this node")
    return 1
  fi
  if ((pull_piece > 0)); then
    if pull_in_pieces "$tool"; then return 0; fi
    if pull_gives_up || [ -n "$pull_worst" ]; then return 1; fi
    pull_remove "$pull_part"*
  fi
  # without a digest the parts of different files could not be told from each other
  if [ -n "$pull_want" ] && command -v aria2c >/dev/null; then
    if pull_run aria2c "${pull_urls[@]}"; then
      if [ "${#pull_urls[@]}" = 1 ]; then
        if pull_verify "${pull_urls[0]}"; then return 0; else return 1; fi
      fi
      pull_hash "$pull_part" && [ "$pull_sum" = "$pull_want" ] && pull_kind "$pull_part" && return 0
    fi
    if pull_gives_up; then return 1; fi
    pull_hook pull_on_log "the sources together gave no image: trying one by one"
  fi
  pull_each pull_from_one "$tool"
}

# The same with the hashes of pieces: by aria2c from all mirrors, and what then is missing or wrong by curl, mirror by
# mirror. Arguments: TOOL (curl, or what there is instead of it). Status 1: it did not come from the mirrors, which have
# been blamed; where none has been, the hashes of the pieces are to blame, or there is no curl.
pull_in_pieces() {
  pull_start_feed
  if command -v aria2c >/dev/null && pull_write_metalink; then
    if pull_run metalink "${pull_urls[@]}" && pull_whole; then return 0; fi
    if pull_gives_up; then return 1; fi
    pull_hook pull_on_log "the sources together gave no image: looking what is there, and trying one by one"
    pull_end_feed
    rm -f -- "$pull_part.aria2" 9>&-
    pull_scan
  fi
  if [ "$1" != curl ]; then return 1; fi
  pull_each pull_from_ranges || return 1
  if pull_whole; then return 0; fi
  pull_gives_up || pull_hook pull_on_log "the pieces are right and the whole is not: doing without their hashes"
  pull_end_feed
  return 1
}
