# shellcheck shell=bash
# pull.sh: the image in pieces, whose hashes a metalink tells (RFC 5854). With them a piece that is wrong is known when
# it arrives, and fetched again from elsewhere, and what a killed process has left is gone on with. They only help: what
# is published has the digest that was asked for.

# Reads the metalink FILE: size (pull_total), bytes of a piece (pull_piece), hashes (pull_hashes); its addresses come
# before those of pull_urls. Where no digest was asked for it is the metalink's. Status 1: it is of no use, and
# pull_words says why.
pull_read_metalink() {
  local text tag size='' whole='' files=0 piece=0 inside='' hashes=() offers=() url
  pull_words="the metalink cannot be read"
  text=$(stat -L -c %s -- "$1" 2>/dev/null 9>&-) && [ -r "$1" ] || return 1
  if ((text > 8 << 20)); then pull_words="the metalink is too large" && return 1; fi
  while IFS= read -r -d '<' text || [ -n "$text" ]; do
    tag=${text%%>*} text=${text#*>}
    text=${text//[[:space:]]/}
    case $tag in
      file | file\ *) files=$((files + 1)) ;;
      size) size=$text ;;
      pieces\ *)
        inside=yes
        if [[ $tag == *'type="sha-256"'* && $tag =~ length=\"([0-9]{1,10})\" ]]; then piece=${BASH_REMATCH[1]}; fi
        ;;
      /pieces) inside='' ;;
      hash | hash\ *)
        if [ -n "$inside" ]; then hashes+=("${text,,}"); fi
        if [ -z "$inside" ] && [[ $tag == *'type="sha-256"'* ]]; then whole=${text,,}; fi
        ;;
      url | url\ *)
        pull_decode "$text"
        [[ ${pull_text,,} =~ $pull_address ]] || continue
        if [[ $tag =~ priority=\"([0-9]{1,6})\" ]]; then text=${BASH_REMATCH[1]}; else text=999999; fi
        offers+=("$text $pull_text")
        ;;
    esac
  done <"$1"
  pull_words="the metalink is not about this image"
  if ((files != 1)) || ! [[ $whole =~ ^[0-9a-f]{64}$ ]] || [ "$whole" != "${pull_want:-$whole}" ]; then return 1; fi
  pull_words="the metalink contradicts itself"
  [[ $size =~ ^[0-9]{1,15}$ ]] || return 1
  if ((${#hashes[@]} > 0)); then
    if ((piece < 65536 || piece > 1 << 30 || size == 0 || ${#hashes[@]} != (size + piece - 1) / piece)); then return 1; fi
    for text in "${hashes[@]}"; do [[ $text =~ ^[0-9a-f]{64}$ ]] || return 1; done
    pull_hashes=("${hashes[@]}") pull_piece=$piece
  fi
  pull_want=$whole pull_total=$size
  hashes=()
  while read -r tag url; do
    case " ${hashes[*]-} " in *" $url "*) ;; *) hashes+=("$url") ;; esac
  done < <(printf '%s\n' ${offers[@]+"${offers[@]}"} ${pull_urls[@]+"${pull_urls[@]/#/9999999 }"} | sort -s -n -k 1,1 9>&-)
  pull_urls=(${hashes[@]+"${hashes[@]}"})
}

# Sets pull_text to a text of XML without its entities.
pull_decode() {
  local and='&' less='<' greater='>' double='"' single="'"
  pull_text=${1//&lt;/"$less"}
  pull_text=${pull_text//&gt;/"$greater"}
  pull_text=${pull_text//&quot;/"$double"}
  pull_text=${pull_text//&apos;/"$single"}
  pull_text=${pull_text//&#39;/"$single"}
  pull_text=${pull_text//&amp;/"$and"}
}

# Writes what is known of the image, in order of preference, as a metalink for aria2c: <part>.meta4, for this user only.
pull_write_metalink() {
  local url text and='&amp;' less='&lt;' greater='&gt;' number=0
  (
    umask 077
    {
      printf '<?xml version="1.0" encoding="UTF-8"?>\n<metalink xmlns="urn:ietf:params:xml:ns:metalink">\n'
      printf '<file name="%s">\n<size>%s</size>\n<pieces length="%s" type="sha-256">\n' "${pull_part##*/}" \
        "$pull_total" "$pull_piece"
      printf '<hash>%s</hash>\n' "${pull_hashes[@]}"
      printf '</pieces>\n'
      for url in "${pull_urls[@]}"; do
        text=${url//&/"$and"} text=${text//</"$less"} text=${text//>/"$greater"} number=$((number + 1))
        printf '<url priority="%s">%s</url>\n' "$number" "$text"
      done
      printf '</file>\n</metalink>\n'
    } >"$pull_part.meta4"
  ) 2>/dev/null 9>&-
}

# Sets pull_from and pull_bytes_of to where piece NUMBER begins, and how long it is.
pull_bounds() {
  pull_from=$(($1 * pull_piece)) pull_bytes_of=$pull_piece
  if ((pull_from + pull_piece > pull_total)); then pull_bytes_of=$((pull_total - pull_from)); fi
}

# Prints bytes of the part. Arguments: FROM COUNT.
pull_print() { dd if="$pull_part" bs=1M iflag=skip_bytes,count_bytes skip="$1" count="$2" status=none 2>/dev/null 9>&-; }

# Reads piece NUMBER of the part; sets pull_have where its hash is right. Status 1: it is not. The piece that is next
# for the digest of the whole is hashed for both at once.
pull_check_piece() {
  local sum
  pull_bounds "$1"
  if [ -n "$pull_feed" ] && ((pull_fed == $1)); then
    sum=$(pull_print "$pull_from" "$pull_bytes_of" | tee "/dev/fd/$pull_feed" | sha256sum 9>&-)
  else
    sum=$(pull_print "$pull_from" "$pull_bytes_of" | sha256sum 9>&-)
  fi
  if [ "${sum%% *}" = "${pull_hashes[$1]}" ]; then
    pull_have[$1]=yes
    if [ -n "$pull_feed" ] && ((pull_fed == $1)); then pull_fed=$((pull_fed + 1)); fi
    return 0
  fi
  unset "pull_have[$1]"
  # what was hashed for the whole cannot be taken back
  if [ -n "$pull_feed" ] && ((pull_fed == $1)); then pull_end_feed; fi
  return 1
}

# Begins to hash the whole beside the download: pieces go there in their order, as soon as they are known to be right.
pull_start_feed() {
  pull_fed=0
  exec {pull_feed}> >(exec sha256sum >"$pull_part.sum" 2>/dev/null 9>&-)
}

# Ends that, wherever it is.
pull_end_feed() {
  if [ -n "${pull_feed:-}" ]; then exec {pull_feed}>&-; fi
  pull_feed=''
}

# Gives the next piece to what hashes the whole.
pull_feed_piece() {
  pull_bounds "$pull_fed"
  pull_print "$pull_from" "$pull_bytes_of" >&"$pull_feed"
  pull_fed=$((pull_fed + 1))
}

# Called while aria2c works: hashes the pieces that its control file says are verified, in their order.
pull_follow_control() {
  if [ -z "$pull_feed" ] || [ "$SECONDS" = "$pull_looked" ]; then return 0; fi
  pull_looked=$SECONDS
  pull_read "$pull_part.aria2" 0 $((34 + (${#pull_hashes[@]} + 7) / 8))
  # version 1, no hash of a torrent, the length of a piece as ours
  [ "${pull_table[*]:0:10}" = "0 1 0 0 0 0 0 0 0 0" ] || return 0
  (((pull_table[10] << 24 | pull_table[11] << 16 | pull_table[12] << 8 | pull_table[13]) == pull_piece)) || return 0
  while ((pull_fed < ${#pull_hashes[@]} && ${pull_table[34 + pull_fed / 8]:-0} & 128 >> pull_fed % 8)); do
    if pull_gives_up; then return 0; fi
    pull_feed_piece
  done
}

# Whether the part, of which every piece is there, is the image: by the digest of the whole. Sets pull_sum.
pull_whole() {
  local tries=3000 line=''
  pull_kind "$pull_part"
  truncate -s "$pull_total" -- "$pull_part" 2>/dev/null 9>&- || return 1
  if [ -z "$pull_feed" ]; then
    pull_hash "$pull_part" || return 1
  else
    while ((pull_fed < ${#pull_hashes[@]})); do
      if pull_gives_up; then return 1; fi
      pull_feed_piece
    done
    pull_end_feed
    until { read -r line <"$pull_part.sum"; } 2>/dev/null; do
      tries=$((tries - 1))
      if pull_gives_up || ((tries == 0)); then return 1; fi
      sleep 0.01 9>&-
    done
    pull_sum=${line%% *}
  fi
  [ "$pull_sum" = "$pull_want" ]
}

# Looks which pieces of the part are there. What follows the last of them may be the beginning of the next (pull_half).
pull_scan() {
  local number size pull_feed=''
  pull_have=() pull_half=0
  size=$(stat -c %s -- "$pull_part" 2>/dev/null 9>&-) || return 0
  for ((number = 0; number < ${#pull_hashes[@]}; number++)); do
    if pull_gives_up; then return 0; fi
    pull_bounds "$number"
    if ((pull_from + pull_bytes_of > size)); then
      if ((size > pull_from)); then pull_half=$size; fi
      return 0
    fi
    pull_check_piece "$number" || :
  done
}

# Goes on with what a process of this node left behind when it died: takes its part as one's own, where it belongs to
# this user and nothing writes to it any more. Arguments: KEY.
pull_adopt() {
  local file owner
  for file in "$pull_cache/$1".*.part; do
    owner=${file##*/} owner=${owner#"$1".} owner=${owner%.part}
    if [ ! -s "$file" ] || [ ! -O "$file" ] || [ -L "$file" ] || [ "${owner%.*}" != "$pull_host" ]; then continue; fi
    if pull_process "${owner##*.}" || [ -n "$(find -L /proc/[0-9]*/fd -maxdepth 1 -samefile "$file" 2>/dev/null 9>&-)" ]; then
      continue
    fi
    chmod -- 600 "$file" 2>/dev/null 9>&- && mv -f -T -- "$file" "$pull_part" 2>/dev/null 9>&- && return 0
  done
  return 1
}
