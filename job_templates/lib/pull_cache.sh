# shellcheck shell=bash
# pull.sh: what is in a cache, and how it comes to its name.

# Looks for the published image of pull_key; sets pull_path. Status 1: there is none.
pull_present() {
  for pull_path in "$pull_cache/$pull_key".{sif,sqfs,img}; do if [ -f "$pull_path" ]; then return 0; fi; done
  pull_path=''
  return 1
}

# Whether the published image may be used: where only this user or root could have put it there its presence is
# enough, because only verified files are published; elsewhere its digest is checked every time. Sets pull_digest.
pull_accept() {
  local expected=$pull_want
  if [ -z "$expected" ]; then { read -r expected <"$pull_cache/$pull_key.digest"; } 2>/dev/null; fi
  expected=${expected#sha256:}
  pull_digest=sha256:$expected
  if [ -n "$expected" ] && [ -r "$pull_path" ] && pull_trusted "$pull_path"; then return 0; fi
  pull_hook pull_on_log "verifying $pull_path, which others can change"
  pull_hash "$pull_path" || return 1
  pull_digest=sha256:$pull_sum
  [ "$pull_sum" = "${expected:-$pull_sum}" ]
}

# Looks for the image in the folders that others have filled (pull_read_only_caches); sets pull_path and pull_digest.
# Where only this user or root could have put it there, it is used as it is; elsewhere it is one more source in place.
pull_seeded() {
  local folder file rest=$pull_read_only_caches:
  if [ -z "$pull_want" ]; then return 1; fi
  while [ -n "$rest" ]; do
    folder=${rest%%:*} rest=${rest#*:}
    case $folder in /*) ;; *) continue ;; esac
    for file in "${folder%/}/$pull_key".{sif,sqfs,img}; do
      if [ ! -f "$file" ] || [ ! -r "$file" ]; then continue; fi
      if pull_own "$folder" "$file"; then
        pull_path=$file pull_digest=sha256:$pull_want
        return 0
      fi
      pull_sources=("$file" "${pull_sources[@]}")
    done
  done
  return 1
}

# The path on this node that a source means: sets pull_file. Status 1: it is elsewhere.
pull_local() {
  case $1 in
    file:///*) pull_file=${1#file://} ;;
    /*) pull_file=$1 ;;
    cvmfs:?*)
      pull_file=${1#cvmfs:}
      while [ "${pull_file#/}" != "$pull_file" ]; do pull_file=${pull_file#/}; done
      pull_file=/cvmfs/${pull_file#cvmfs/}
      ;;
    *) return 1 ;;
  esac
}

# Looks for a source that is a file of this node, right as it is: used in place. It is verified once; the mark
# <key>.inplace says of which file (inode, size, times). A folder (an unpacked image) has no digest, and is used where
# none is wanted. Sets pull_path and pull_digest. Arguments: quick (only by the mark) or full.
pull_in_place() {
  local source file mark='' stamp
  for source in "${pull_sources[@]}"; do
    pull_local "$source" || continue
    file=$pull_file
    if [ -d "$file" ] && [ -r "$file" ] && [ -x "$file" ]; then
      if [ -z "$pull_want" ]; then
        pull_path=$file pull_digest='' pull_cached=true
        return 0
      fi
      [ "$1" = quick ] || pull_blame_source wrong_digest "$source" "is a folder, which has no digest"
      continue
    fi
    if [ ! -f "$file" ] || [ ! -r "$file" ]; then
      [ "$1" = quick ] || pull_blame_source unreachable "$source" "is not a file that can be read on this node"
      continue
    fi
    stamp=$(stat -L -c '%i %s %.9Y %.9Z' -- "$file" 2>/dev/null 9>&-) || continue
    pull_path=$file pull_cached=true
    { IFS= read -r mark <"$pull_cache/$pull_key.inplace"; } 2>/dev/null
    if [ "${mark#* }" = "$stamp $file" ] && pull_trusted "$pull_cache/$pull_key.inplace"; then
      pull_digest=${mark%% *}
      return 0
    fi
    if [ "$1" = full ]; then
      pull_hash "$file" || pull_sum=''
      if [ -n "$pull_sum" ] && [ "$pull_sum" = "${pull_want:-$pull_sum}" ]; then
        pull_digest=sha256:$pull_sum
        pull_note inplace "$pull_digest $stamp $file" || : # a cache that cannot be written: verified again next time
        return 0
      fi
      pull_stopping || pull_blame_source wrong_digest "$source" "has the digest sha256:$pull_sum"
    fi
    pull_path='' pull_cached=false
  done
  return 1
}

# Writes LINE to <key>.<suffix> by rename. Arguments: SUFFIX LINE.
pull_note() {
  local part=$pull_cache/$pull_key.$pull_host.$BASHPID.part.$1
  { printf '%s\n' "$2" >"$part"; } 2>/dev/null || return 1
  pull_share "$part" r
  mv -f -- "$part" "$pull_cache/$pull_key.$1" 2>/dev/null 9>&-
}

# Publishes the verified part under its final name, never replacing. Sets pull_path. Status 1: it cannot.
pull_publish() {
  local final
  pull_digest=sha256:$pull_sum
  final=$pull_cache/$pull_key.$pull_suffix
  if [ -z "$pull_want" ]; then pull_note digest "$pull_digest" || return 1; fi
  chmod -- =r "$pull_part" 9>&- # as far as the umask lets
  pull_share "$pull_part" r
  # on the disk before it has its name, so that a crash of the node leaves no empty file behind that name
  pull_input=''
  pull_capture dd "of=$pull_part" if=/dev/null conv=notrunc,fsync status=none || return 1
  ln -- "$pull_part" "$final" 2>/dev/null 9>&- || mv -n -- "$pull_part" "$final" 2>/dev/null 9>&- || :
  [ -f "$final" ] || return 1
  pull_path=$final
  pull_remove "$pull_part"*
  pull_part=''
}
