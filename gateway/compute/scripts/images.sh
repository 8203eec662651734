# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # the variables of pull.sh
# Brings an image to a target's cache, piece by piece, under the names and rules of pull.sh. Inlined into a remote
# command; gw_image_begin and gw_image_publish need the functions of pull.sh before them.

# gw_image_look CACHE HEX BYTES: print "have" where the whole image stands in the cache.
gw_image_look() {
  local file
  for file in "$1/$2".{sif,sqfs,img}; do
    if [ -f "$file" ] && [ "$(stat -L -c %s -- "$file")" = "$3" ]; then printf 'have\n'; fi
  done
}

# gw_image_begin CACHE PART: make the cache, and print what is there of the part and how much is free.
gw_image_begin() {
  local size
  pull_begin "$1"
  if ! pull_prepare; then
    printf 'nothing can be written to %s by %s\n' "$1" "$(id -un 2>/dev/null || id -u)" >&2
    return 1
  fi
  pull_room 0
  size=$(stat -c %s -- "$2" 2>/dev/null) || size=0
  printf 'part %s\nfree %s\n' "$size" "${pull_free:-}"
}

# gw_image_piece PART OFFSET: append standard input to the part, which has OFFSET bytes, and print its length then. One
# that an earlier piece is still being written to is left alone.
gw_image_piece() {
  local status=0 size
  exec 8>>"$1" || return 1
  flock -n 8 2>/dev/null || status=$?
  if ((status == 1)); then
    printf 'an earlier transfer is still being written\n' >&2
    return 75
  fi
  size=$(stat -c %s -- "$1") || return 1
  if ((size > $2)); then truncate -s "$2" -- "$1" || return 1; fi
  if ((size >= $2)); then cat >&8 || status=74; fi
  printf 'part %s\n' "$(stat -c %s -- "$1")"
  ((status != 74))
}

# gw_image_publish CACHE HEX PART: verify the part and give it its name; a part with other bytes is removed.
gw_image_publish() {
  pull_begin "$1"
  pull_want=$2 pull_key=$2 pull_part=$3
  pull_hash "$3" || return 1
  if [ "$pull_sum" != "$2" ]; then
    pull_remove "$3"
    printf 'it arrived with another digest, sha256:%s\n' "$pull_sum" >&2
    return 65
  fi
  pull_kind "$3"
  if ! pull_publish; then
    printf 'the cache %s does not take the verified image\n' "$1" >&2
    return 1
  fi
  printf 'have\n'
}
