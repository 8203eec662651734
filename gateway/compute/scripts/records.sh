# shellcheck shell=bash disable=SC2154 # the arrays are assigned by the caller
# Reads the records of many attempts in few processes. Inlined into a remote command, run by bash 4.2 or newer.
#
# One `find` looks at all folders, and only regular files count: a symbolic link could point anywhere. Then one `od`
# for each followed file that grew: it seeks, stops at the length that it is given, and writes text, so that a file
# that shrinks meanwhile cannot shift what follows. Small files are read by bash itself.

# gw_records_bytes FILE START LENGTH: print bytes of a file as lines of hexadecimal digits, then a dot.
gw_records_bytes() {
  od -An -v -t x1 -w32768 -j "$2" -N "$3" -- "$1" 2>/dev/null
  printf '.\n'
}

# gw_records_text FILE LENGTH: print the head of a small file on one line, newlines as bars.
gw_records_text() {
  local text=
  IFS= read -r -d '' -n "$2" text <"$1"
  text=${text//$'\n'/|}
  printf '%s\n' "${text//[^ -~]/?}"
}

# gw_records_followed FOLDER NAME SIZE START LIMIT: print what was added to a file since START.
gw_records_followed() {
  local start=$4
  [ "$3" -ge "$start" ] || start=0
  if [ "$3" -gt "$start" ] || [ "$start" != "$4" ]; then
    printf 'chunk %s %d\n' "$2" "$start"
    gw_records_bytes "$1/$2" "$start" "$5"
  fi
}

# gw_records_manifest FILE: print a manifest, packed where gzip is there.
gw_records_manifest() {
  if command -v gzip >/dev/null; then
    printf 'manifest_gzip '
    gzip -c <"$1" 2>/dev/null | base64 -w 0
  else
    printf 'manifest '
    base64 -w 0 <"$1" 2>/dev/null
  fi
  printf '\n'
}

# gw_records LIMIT FINAL_LIMIT: print the news of all gw_record_folders; gw_record_wanted holds for each
# "<offset of status.jsonl> <offset of sync.jsonl> <manifest wanted: 0 or 1>".
gw_records() {
  local LC_ALL=C index folder name bytes status sync manifest
  local -A known size
  for index in "${!gw_record_folders[@]}"; do known["${gw_record_folders[index]}"]=$index; done
  while read -r bytes name folder; do
    index=${known["$folder"]-}
    [ -z "$index" ] || size["$index/$name"]=$bytes
  done < <(
    find -P "${gw_record_folders[@]}" -mindepth 1 -maxdepth 1 -type f \( -name 'payload.*' -o -name 'p*.log' \
      -o -name 'script.log' -o -name 's*.jsonl' -o -name sync.state -o -name claim -o -name final.json \
      -o -name manifest.json \) -printf '%s %f %H\n' 2>/dev/null
  )
  for index in "${!gw_record_folders[@]}"; do
    folder=${gw_record_folders[index]}
    if [ ! -d "$folder" ] || [ -L "$folder" ]; then
      printf 'missing %s\n' "$folder"
      continue
    fi
    printf 'folder %s\n' "$folder"
    for name in payload.out payload.err pull.log script.log; do
      [ -z "${size["$index/$name"]-}" ] || printf 'size %s %s\n' "$name" "${size["$index/$name"]}"
    done
    if [ -n "${size["$index/claim"]-}" ]; then
      printf 'claim '
      gw_records_text "$folder/claim" 300
    fi
    bytes=${size["$index/sync.state"]:-0}
    if [ "$bytes" -gt 0 ] && [ "$bytes" -le 4096 ]; then
      printf 'state '
      gw_records_text "$folder/sync.state" 4097
    elif [ "$bytes" -gt 0 ]; then
      printf 'state '
      tail -c 64 -- "$folder/sync.state" | tr -c '!-~' '|'
      printf '\n'
    fi
    read -r status sync manifest <<<"${gw_record_wanted[index]}"
    gw_records_followed "$folder" status.jsonl "${size["$index/status.jsonl"]:-0}" "$status" "$1"
    gw_records_followed "$folder" sync.jsonl "${size["$index/sync.jsonl"]:-0}" "$sync" "$1"
    if [ -n "${size["$index/final.json"]-}" ]; then
      printf 'final\n'
      gw_records_bytes "$folder/final.json" 0 "$2"
    fi
    if [ "$manifest" = 1 ] && [ -n "${size["$index/manifest.json"]-}" ]; then
      gw_records_manifest "$folder/manifest.json"
    fi
  done
  printf 'end\n'
}
