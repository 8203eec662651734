# shellcheck shell=bash
# pull.sh: pieces by curl, from one mirror after the other: each fills the gaps that are left, until one sends a piece
# that is wrong, or no more.

# Sets pull_at to how far the descriptor pull_out has been written.
pull_position() {
  local word rest
  pull_at=0
  while read -r word rest; do
    if [ "$word" = pos: ]; then pull_at=$rest && return; fi
  done 2>/dev/null <"/proc/$BASHPID/fdinfo/$pull_out"
}

# Finds the first gap: sets pull_first and pull_last (numbers of pieces). Status 1: there is none.
pull_gap() {
  local number count=${#pull_hashes[@]}
  for ((number = 0; number < count; number++)); do
    if [ -z "${pull_have[number]:-}" ]; then break; fi
  done
  if ((number == count)); then return 1; fi
  pull_first=$number pull_last=$number
  while ((pull_last + 1 < count)) && [ -z "${pull_have[pull_last + 1]:-}" ]; do pull_last=$((pull_last + 1)); done
}

# Reads the headers of an answer: sets pull_code to the last status and pull_after to the seconds of its Retry-After.
pull_read_head() {
  local line when
  pull_code='' pull_after=''
  while IFS= read -r line; do
    line=${line%$'\r'}
    case $line in
      HTTP/*) line=${line#* } pull_code=${line%% *} pull_after='' ;;
      [Rr][Ee][Tt][Rr][Yy]-[Aa][Ff][Tt][Ee][Rr]:*) pull_after=${line#*:} pull_after=${pull_after# } ;;
    esac
  done 2>/dev/null <"$pull_part.head"
  if [[ $pull_after =~ ^[0-9]{1,9}$ ]]; then
    pull_after=$((10#$pull_after))
  elif [ -n "$pull_after" ]; then # a date
    when=$(date -d "$pull_after" +%s 2>/dev/null 9>&-) && printf -v line '%(%s)T' -1 && pull_after=$((when - line)) ||
      pull_after=''
  fi
  if [ -n "$pull_after" ] && ((pull_after < 0)); then pull_after=0; fi
}

# Called while curl works: checks pieces as they arrive. Status 1: curl must end, because a piece is wrong (pull_bad) or
# because the mirror sends the whole where a range was wanted (pull_unranged).
pull_follow_ranges() {
  if [ -n "$pull_ranged" ] && [ -s "$pull_part.head" ]; then
    pull_read_head
    case $pull_code in
      206) pull_ranged='' ;;
      200)
        pull_unranged=yes
        return 1
        ;;
    esac
  fi
  while [ -n "$pull_feed" ] && ((pull_fed < pull_next)) && [ -n "${pull_have[pull_fed]:-}" ] && ! pull_gives_up; do
    pull_feed_piece
  done
  pull_position
  while ((pull_next <= pull_last)); do
    pull_bounds "$pull_next"
    if ((pull_from + pull_bytes_of > pull_at)) || pull_gives_up; then return 0; fi
    if ! pull_check_piece "$pull_next"; then
      pull_bad=$pull_next
      return 1
    fi
    pull_next=$((pull_next + 1))
  done
}

# Has curl fill the gap from pull_first to pull_last. Arguments: URL WHOLE (not empty: the mirror knows no ranges). Sets
# pull_begun (where it began) and what pull_follow_ranges says. Status: curl's.
pull_fill() {
  local status=0 range=() number
  pull_bad='' pull_unranged='' pull_ranged='' pull_tool=curl
  if [ -n "$2" ]; then pull_first=0 pull_last=$((${#pull_hashes[@]} - 1)); fi
  pull_bounds "$pull_first"
  pull_begun=$pull_from pull_next=$pull_first
  if [ -z "$2" ] && ((pull_half > pull_from && pull_half < pull_from + pull_bytes_of)); then pull_begun=$pull_half; fi
  pull_bounds "$pull_last"
  if ((pull_begun > 0 || pull_last + 1 < ${#pull_hashes[@]})); then
    range=(-r "$pull_begun-$((pull_from + pull_bytes_of - 1))") pull_ranged=yes
  fi
  (umask 077 && : >"$pull_part.head") 2>/dev/null
  { exec {pull_out}<>"$pull_part"; } 2>/dev/null || return 23
  dd bs=1 count=0 seek="$pull_begun" oflag=seek_bytes conv=notrunc status=none </dev/null >&"$pull_out" 2>/dev/null 9>&-
  curl -q -g -s -f -L --max-redirs 5 --proto '=http,https' --connect-timeout "$pull_connect_timeout" \
    --speed-limit "$pull_slow_speed" --speed-time "$pull_slow_time" --limit-rate "$pull_max_rate" \
    -D "$pull_part.head" ${range[@]+"${range[@]}"} -K - < <(printf 'url = "%s"\n' "$1") >&"$pull_out" 2>/dev/null 9>&- &
  pull_watch $! "$pull_part" "$1" pull_follow_ranges || status=$?
  pull_read_head
  # a short answer ends before the function that is called each time has seen it
  if [ -n "$pull_ranged" ] && [ "$pull_code" = 200 ]; then pull_unranged=yes; fi
  if [ -z "$pull_unranged" ]; then pull_ranged='' && { pull_follow_ranges || :; }; fi
  pull_position
  exec {pull_out}>&-
  pull_out='' pull_half=0
  # what it wrote over without being right
  for ((number = pull_next; number * pull_piece < pull_at && number < ${#pull_hashes[@]}; number++)); do
    if [ -n "${pull_have[number]:-}" ]; then pull_check_piece "$number" || :; fi
  done
  if [ -z "$pull_bad$pull_unranged" ]; then pull_half=$pull_at; fi
  return "$status"
}

# Fills gaps from one mirror. Arguments: URL. Status 1: it gives no more (and has been blamed), 2: it wants to be asked
# again after pull_after seconds.
pull_from_ranges() {
  local url=$1 whole='' tries=3 most=10 status pieces half
  while pull_gap; do
    status=0 pieces=${#pull_have[*]} half=$pull_half most=$((most - 1))
    pull_fill "$url" "$whole" || status=$?
    if pull_gives_up; then return 1; fi
    if [ -n "$pull_unranged" ] && [ -z "$whole" ]; then
      whole=yes
      continue
    fi
    if [ -n "$pull_bad" ]; then
      # the first bytes of that piece may be another one's
      if ((pull_bad == pull_first && pull_begun > pull_first * pull_piece && most > 0)); then continue; fi
      pull_blame_piece "$url"
      return 1
    fi
    if ((status == 0)) && ((pull_next > pull_last)); then continue; fi
    if ((status == 0)); then
      pull_blame_short "$url"
      return 1
    fi
    pull_explain "$status"
    # it came further: go on at once
    if [ -n "$pull_again" ] && ((most > 0 && (${#pull_have[*]} > pieces || pull_half > half && pull_half > pull_begun))); then
      continue
    fi
    if [ -n "$pull_again" ] && [ -n "$pull_after" ]; then return 2; fi
    tries=$((tries - 1))
    if [ -z "$pull_again" ] || ((tries <= 0 || most <= 0)); then
      pull_blame_source "$pull_why" "$url" "$pull_words"
      return 1
    fi
    pull_back_off $((3 - tries)) || return 1
  done
}

# Blames a mirror that sent a wrong piece. Arguments: URL.
pull_blame_piece() {
  pull_kind "$pull_part"
  if [ -n "$pull_page" ] && ((pull_bad == 0)); then
    pull_blame_source not_an_image "$1" "sent something that is not an image (a web page or a message)"
  else
    pull_bounds "$pull_bad"
    pull_blame_source wrong_digest "$1" "sent other bytes than the image has, from byte $pull_from on"
  fi
}

# Blames a mirror whose answer ended, as it said, before the image did. Arguments: URL.
pull_blame_short() {
  pull_half=0
  pull_kind "$pull_part"
  if [ -n "$pull_page" ] && ((pull_begun == 0)); then
    pull_blame_source not_an_image "$1" "sent $pull_at bytes that are not an image (a web page or a message)"
  else
    pull_blame_source wrong_digest "$1" "has another file: it ends after $pull_at bytes, and the image has $pull_total"
  fi
}
