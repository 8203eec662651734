# shellcheck shell=bash disable=SC2154 # the arrays are assigned by the caller
# Reads the records of many attempts in few processes. Inlined into a remote command, run by bash 4.2 or newer.
#
# `find` looks at all folders, some hundred at once, and only regular files count: a symbolic link could point anywhere.
# One `awk` compares what it saw with what the gateway knows, so that nothing at all is done about a job without news.
# Then one `od` for each followed file that grew: it seeks, stops at the length that it is given, and writes text, so
# that a file that shrinks meanwhile cannot shift what follows. Claims are read by bash itself.

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

# gw_records_seen: print a line for each folder and each record in it: depth, name, size, inode and time, folder.
gw_records_seen() {
  local start
  for ((start = 0; start < ${#gw_record_folders[@]}; start += 500)); do
    find -P "${gw_record_folders[@]:start:500}" -maxdepth 1 \( -type d -printf '%d - - - %p\n' \) -o \( -type f \
      \( -name status.jsonl -o -name sync.jsonl -o -name claim -o -name final.json -o -name manifest.json \
      -o -name sync.json \) \
      -printf '%d %f %s %i.%T@ %H\n' \) 2>/dev/null
  done
}

# gw_records_news: print "<index> <name> <start> <size> <signature>" for all that the gateway does not know yet, and a
# last line with the name "end". Numbers are passed on as they came: not every awk prints large ones whole.
gw_records_news() {
  local index
  {
    for index in "${!gw_record_folders[@]}"; do
      printf '%s %s\n' "${gw_record_wanted[index]}" "${gw_record_folders[index]}"
    done
    printf '\n'
    gw_records_seen
  } | awk '
    BEGIN { n = 0 }
    function followed(known) {
      if ($3 + 0 < known + 0) print i, $2, 0, $3
      else if ($3 + 0 > known + 0) print i, $2, known, $3
    }
    !begun && $0 == "" { begun = 1; next }
    {
      folder = $0
      sub(/^[^ ]* [^ ]* [^ ]* [^ ]* /, "", folder)
      if (!begun) sub(/^[^ ]* /, "", folder)
    }
    !begun {
      status[n] = $1; sync[n] = $2; manifest[n] = $3; claim[n] = $4; behind[n] = $5
      at[folder] = n++
      next
    }
    !(folder in at) { next }
    { i = at[folder] }
    $1 == 0 { there[i] = 1; next }
    $2 == "status.jsonl" { followed(status[i]) }
    $2 == "sync.jsonl" { followed(sync[i]) }
    $2 == "claim" { claimed[i] = 1; if ($4 != claim[i]) print i, "claim", 0, $3, $4 }
    $2 == "sync.json" && $4 != behind[i] { print i, "sync", 0, $3, $4 }
    $2 == "final.json" { print i, "final", 0, $3 }
    $2 == "manifest.json" && manifest[i] == 1 { print i, "manifest", 0, $3 }
    END {
      for (i = 0; i < n; i++) {
        if (!there[i]) print i, "missing"
        else if (claim[i] != "-" && !claimed[i]) print i, "unclaimed"
      }
      print n, "end"
    }'
}

# gw_records LIMIT FINAL_LIMIT ALL SYNC_LIMIT: print the news of all gw_record_folders (below gw_record_root), and then
# `end`. LIMIT: bytes of each followed file at most; ALL: of everything together, where what is left over is for the next
# time. gw_record_wanted holds for each folder "<offset of status.jsonl> <offset of sync.jsonl> <manifest wanted: 0 or 1>
# <signature of claim> <signature of sync.json>".
gw_records() {
  local LC_ALL=C index folder name start size signature left=$3 last=
  for index in "${!gw_record_folders[@]}"; do
    gw_record_folders[index]=$gw_record_root${gw_record_folders[index]}
  done
  while read -r index name start size signature; do
    if [ "$name" = end ]; then
      printf 'end\n'
      return
    fi
    folder=${gw_record_folders[index]}
    if [ "$index" != "$last" ]; then
      printf 'folder %d\n' "$index"
      last=$index
    fi
    if [ "$left" -le 0 ] && [ "$name" != missing ]; then
      printf 'later\n'
      continue
    fi
    case $name in
      missing) if [ ! -d "$folder" ] || [ -L "$folder" ]; then printf 'missing\n'; else printf 'later\n'; fi ;;
      unclaimed) printf 'unclaimed\n' ;;
      claim)
        printf 'claim %s ' "$signature"
        gw_records_text "$folder/claim" 300
        ;;
      final)
        printf 'final\n'
        gw_records_bytes "$folder/final.json" 0 "$2"
        left=$((left - (size < $2 ? size : $2)))
        ;;
      sync)
        printf 'sync %s\n' "$signature"
        gw_records_bytes "$folder/sync.json" 0 "$4"
        left=$((left - (size < $4 ? size : $4)))
        ;;
      manifest) gw_records_manifest "$folder/manifest.json" ;;
      *)
        printf 'chunk %s %s\n' "$name" "$start"
        gw_records_bytes "$folder/$name" "$start" "$1"
        size=$((size - start))
        left=$((left - (size < $1 ? size : $1)))
        ;;
    esac
  done < <(gw_records_news)
  command -v awk >/dev/null || printf 'no awk\n'
}
