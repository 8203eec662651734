# shellcheck shell=bash
# Files that are only ever appended to (`follow` of the outputs). While the payload runs they are sent at every pass in
# which they have grown, as a copy that ends where a line ends: no reader of the store ever sees a torn line, or less
# than before. The final pass sends them as they are.

gw_follow_room=536870912 # bytes of copies at the same time
gw_follow_most=200       # files in one pass; those that wait longest come first
gw_follow_large=33554432 # bytes from which on a file is sent only when it has grown by a tenth

# Sends what has grown of transfer N, as far as whole lines go. Sets gw_exit. Arguments: N KIND
gw_sync_follow() {
  local base=$gw_lists/sync time size name known files=0 room=$gw_follow_room copied=() lengths=() lines=() i
  rm -rf -- "$base.follow"
  mkdir -- "$base.follow" || { gw_exit=1 && return; }
  gw_exit=0
  while IFS=';' read -r time size name; do
    if [[ $size == *[!0-9]* || -z $name ]] || ((size > room || files >= gw_follow_most)); then continue; fi
    known=${gw_followed["$1/$name"]:--1}
    if ((size <= known || (size > gw_follow_large && size < known + known / 10))); then continue; fi
    if ! gw_follow_copy "$name" "$size" "$time"; then continue; fi
    if ((gw_number <= known)); then rm -f -- "$gw_follow_file" && continue; fi
    files=$((files + 1)) room=$((room - gw_number))
    copied+=("$name") lengths+=("$gw_number")
    if ((gw_number == size)); then lines+=("$time;$size;$name"); fi
  done <"$base.left.$1"
  if ((files > 0)); then
    gw_copied=$base.follow gw_sync_copy "$1" "$2" 0 --no-traverse --ignore-times
    if ((gw_exit == 0)); then
      for ((i = 0; i < files; i++)); do gw_followed["$1/${copied[i]}"]=${lengths[i]}; done
      if ((${#lines[@]} > 0)); then printf '%s\n' "${lines[@]}" | sort >>"$base.done.$1"; fi
    fi
  fi
  rm -rf -- "$base.follow"
  gw_follow_count "$1"
}

# Sets gw_followed_bytes[N] to what the store has of the files of sync.left.N.
gw_follow_count() {
  local time size name bytes=0
  while IFS=';' read -r time size name; do
    bytes=$((bytes + ${gw_followed["$1/$name"]:-0}))
  done <"$gw_lists/sync.left.$1"
  gw_followed_bytes[$1]=$bytes
}

# Copies the first SIZE bytes of the file NAME below gw_source, up to the end of the last line in them, and sets
# gw_number to how many that are, gw_follow_file to the copy. Status 1: there is none, or no line ends in its last 64
# KiB. No link is followed. Arguments: NAME SIZE TIME
gw_follow_copy() {
  local size=$2 folder='' file rest
  gw_follow_name "$1"
  file=$gw_text
  if [[ $file == */* ]]; then folder=${file%/*}; fi
  gw_follow_file=$gw_lists/sync.follow/$file
  mkdir -p -- "$gw_lists/sync.follow/$folder" || return 1
  (
    cd -P -- "$gw_source${folder:+/$folder}" && [[ $(pwd -P && printf .) == "$gw_source${folder:+/$folder}"$'\n.' ]] &&
      dd if="./${file##*/}" iflag=nofollow,nonblock,count_bytes,fullblock bs=1M count="$size" of="$gw_follow_file"
  ) 2>/dev/null
  if [[ ! -f $gw_follow_file ]]; then return 1; fi
  gw_number=$(wc -c <"$gw_follow_file")
  rest=0
  if ((gw_number == size && size > 0)) && (($(tail -c 1 -- "$gw_follow_file" | wc -l) == 0)); then
    rest=$(tail -c 65536 -- "$gw_follow_file" | tail -n 1 | wc -c)
    if ((rest == 65536 || rest == size)); then gw_number=-1; fi
  fi
  if ((gw_number != size)) || ! truncate -s "$((size - rest))" -- "$gw_follow_file" ||
    ! touch -d "$3" -- "$gw_follow_file"; then
    rm -f -- "$gw_follow_file"
    return 1
  fi
  gw_number=$((size - rest))
}

# Sets gw_text to what a file is called on the disk that rclone calls NAME: control characters are pictures there, and
# U+201B stands before what is none.
gw_follow_name() {
  local rest=$1 out='' quote=$'\xe2\x80\x9b' code
  gw_text=$1
  case $rest in *$'\xe2\x90'* | *"$quote"*) ;; *) return ;; esac
  while [[ -n $rest ]]; do
    case $rest in
      "$quote"$'\xe2\x90'*) out+=${rest:3:3} rest=${rest:6} ;;
      "$quote$quote"*) out+=$quote rest=${rest:6} ;;
      "$quote"$'\xef\xbc\x8f'*) out+=${rest:3:3} rest=${rest:6} ;;
      $'\xe2\x90\xa1'*) out+=$'\x7f' rest=${rest:3} ;;
      $'\xe2\x90'[$'\x80'-$'\x9f']*)
        printf -v code %d "'${rest:2:1}"
        printf -v code %o $(((code & 255) - 128))
        printf -v code %b "\\0$code"
        out+=$code rest=${rest:3}
        ;;
      *) out+=${rest:0:1} rest=${rest:1} ;;
    esac
  done
  gw_text=$out
}
