# shellcheck shell=bash
# pull.sh: folders unpacked from images.

# Sets pull_number to the little-endian number of COUNT bytes at INDEX of the array pull_table.
pull_number() {
  local i
  pull_number=0
  for ((i = $1 + $2 - 1; i >= $1; i--)); do pull_number=$((pull_number << 8 | ${pull_table[i]:-0})); done
}

# Reads bytes of a file into the array pull_table. Arguments: FILE OFFSET COUNT.
pull_read() { IFS=$' \t\n' read -r -d '' -a pull_table < <(od -An -v -tu1 -j "$2" -N "$3" -- "$1" 2>/dev/null 9>&-) || :; }

# Finds the squashfs file system in an image: sets pull_offset and pull_length (0: to the end). Status 1: none, and
# pull_words says why. A SIF has a table of descriptors, 585 bytes each; a Singularity 2 image one line of text before.
pull_partition() {
  local at count type system
  pull_offset=0 pull_length=0
  pull_kind "$1"
  if [ "$pull_suffix" = sif ]; then
    pull_read "$1" 88 16
    pull_number 0 8 && count=$pull_number
    pull_number 8 8 && at=$pull_number
    if ((count < 1 || count > 4096)); then count=0; fi
    pull_read "$1" "$at" $((count * 585))
    for ((at = 0; at < count * 585; at += 585)); do
      pull_number $((at + 205)) 4 && system=$pull_number
      pull_number "$at" 4 && type=$pull_number
      # a used descriptor (1) of a partition (0x4004) that is the primary system (2)
      if ((type != 0x4004 || system != 2 || ${pull_table[at + 4]:-0} != 1)); then continue; fi
      pull_number $((at + 17)) 8 && pull_offset=$pull_number
      pull_number $((at + 25)) 8 && pull_length=$pull_number
      break
    done
    if ((pull_offset == 0)); then pull_words="has no system partition" && return 1; fi
  elif [ "$pull_suffix" = img ]; then
    pull_offset=31
  fi
  pull_read "$1" "$pull_offset" 4
  if [ "${pull_table[*]:-}" = "104 115 113 115" ]; then return 0; fi # hsqs
  pull_words="holds no squashfs file system" && return 1
}

# Lists a folder: type, size of files, path; sorted.
pull_list() {
  (cd -- "$1" && find . -mindepth 1 \( -type f -printf 'f %s %P\n' -o -printf '%y - %P\n' \)) 2>/dev/null 9>&- |
    LC_ALL=C sort 9>&-
}

# Whether the unpacked folder has everything that its list names (scratch file systems are purged file by file).
# What a runtime added (mount points) does not matter.
pull_tree_whole() {
  [ -d "$pull_folder" ] && [ -s "$pull_folder.list" ] || return 1
  if [ "${pull_folder##*.}" = "u$EUID" ]; then [ -O "$pull_folder" ] && [ -O "$pull_folder.list" ] || return 1; fi
  [ -z "$(LC_ALL=C comm -23 "$pull_folder.list" <(pull_list "$pull_folder") 2>&1 | head -n 1)" ]
}

# Derives the unpacked folder of an image, once: <cache>/<hex>/ with <hex>.list beside it (<hex>.u<uid> in a cache that
# others can write: a folder is too large to be verified before each use, so that it must be one's own). Sets
# pull_folder; on failure pull_reason and pull_message, and status 1. Arguments: CACHE IMAGE.
pull_unpack() {
  local name='' known='' cached=false bytes=0
  if [ -d "$2" ]; then # it is unpacked already
    pull_folder=$2
    return 0
  fi
  if [ "$2" = "${pull_path:-}" ]; then known=${pull_digest:-} cached=${pull_cached:-false} bytes=${pull_bytes:-0}; fi
  pull_begin "$1"
  # what pull_image said of this image stays
  pull_path=$2 pull_digest=$known pull_cached=$cached pull_bytes=$bytes
  name=${known#sha256:} known=${2##*/}
  if [ -z "$name" ] && [[ $known =~ ^[0-9a-f]{64}\.(sif|sqfs|img)$ ]]; then name=${known%.*}; fi
  if [ -z "$name" ]; then
    pull_hash "$2" || { pull_fail interrupted "the image $2 cannot be read to its end" && return 1; }
    name=$pull_sum
  fi
  if ! pull_prepare && [ ! -d "$pull_cache/$name" ]; then
    pull_fail cache_not_writable "the image is not unpacked in $pull_cache, and nothing can be written there"
    return 1
  fi
  if [ "$name" != "${pull_key:-}" ]; then pull_mark "$name"; fi
  if ! pull_trusted; then name+=.u$EUID; fi
  pull_folder=$pull_cache/$name
  if pull_tree_whole; then return 0; fi
  if ! command -v unsquashfs >/dev/null; then
    pull_fail unpack_failed "this node has no unsquashfs (package squashfs-tools), which the runtime needs to unpack the image"
    return 1
  fi
  if ! pull_partition "$2"; then
    pull_fail not_an_image "the image $2 $pull_words"
    return 1
  fi
  pull_lock "$name.unpack" pull_tree_whole || return 1
  pull_folder=$pull_cache/$name
  if pull_tree_whole; then
    pull_unlock
    return 0
  fi
  pull_reap "$name"
  pull_part=$pull_cache/$name.$pull_host.$BASHPID.part
  if ! pull_derive "$2" || ! pull_settle; then
    if pull_stopping; then
      pull_fail interrupted "stopped while the image was being unpacked"
    elif ! pull_room 1048576; then
      pull_fail no_space "the unpacked image has no room in $pull_cache ($pull_free bytes are free)"
    else
      pull_fail unpack_failed "the image $2 cannot be unpacked: ${pull_words}"
    fi
    return 1
  fi
  pull_unlock
}

# Unpacks an image to pull_part. Arguments: IMAGE. Status 1: pull_words says why.
pull_derive() {
  local status=0 image=$1 from=()
  if ((pull_offset > 0)); then from=(-o "$pull_offset"); fi
  if ((pull_offset > 0)) && ! unsquashfs -help 2>&1 9>&- | grep -q -e '-o\[' 9>&-; then
    # before 4.4 it cannot start inside a file
    image=$pull_part.sqfs from=()
    { tail -c "+$((pull_offset + 1))" -- "$1" | head -c "$((pull_length ? pull_length : 1 << 62))"; } >"$image" 9>&-
  fi
  unsquashfs -no-progress -no-xattrs ${from[@]+"${from[@]}"} -d "$pull_part" "$image" </dev/null >/dev/null \
    2>"$pull_part.err" 9>&- &
  pull_watch $! '' '' || status=$?
  pull_words="unsquashfs ended with status $status"
  if pull_stopping || [ ! -d "$pull_part" ]; then return 1; fi
  # status 2: something could not be made, as device nodes by an ordinary user
  if ((status == 2)) && pull_complete "$image" ${from[@]+"${from[@]}"}; then return 0; fi
  if ((status != 0)); then pull_words+=": $(head -c 300 -- "$pull_part.err" 2>/dev/null)"; fi
  return "$status"
}

# Compares what is unpacked with the image's own listing, device nodes aside. Arguments: IMAGE OPTION...
pull_complete() {
  local image=$1 mode size expected=0,0,0,0 line files=0 bytes=0 folders=0 links=0
  shift
  while read -r mode _ size _; do
    case $mode in
      -?????????) files=$((files + 1)) bytes=$((bytes + size)) ;;
      d?????????) folders=$((folders + 1)) ;;
      l?????????) links=$((links + 1)) ;;
    esac
  done < <(unsquashfs -no-progress -ll "$@" "$image" 2>/dev/null 9>&-)
  expected=$files,$bytes,$folders,$links files=0 bytes=0 folders=0 links=0
  while read -r mode size; do
    case $mode in
      f) files=$((files + 1)) bytes=$((bytes + size)) ;;
      d) folders=$((folders + 1)) ;;
      l) links=$((links + 1)) ;;
    esac
  done < <(find "$pull_part" -printf '%y %s\n' 2>/dev/null 9>&-)
  [ "$expected" = "$files,$bytes,$folders,$links" ]
}

# Makes the mount points that runtimes need in a root that they mount read-only, writes the list, publishes by rename.
pull_settle() {
  local name
  find "$pull_part" -type d ! -perm -0700 -exec chmod u+rwx {} + 2>/dev/null 9>&-
  for name in dev proc sys tmp run etc home job; do
    if [ ! -e "$pull_part/$name" ] && [ ! -L "$pull_part/$name" ]; then mkdir -- "$pull_part/$name" 9>&-; fi
  done
  for name in passwd group hosts resolv.conf; do
    if [ -d "$pull_part/etc" ] && [ ! -e "$pull_part/etc/$name" ] && [ ! -L "$pull_part/etc/$name" ]; then
      : >"$pull_part/etc/$name"
    fi
  done
  pull_words="its list cannot be written"
  if pull_stopping || ! pull_list "$pull_part" >"$pull_part.list" || [ ! -s "$pull_part.list" ]; then return 1; fi
  pull_words="the folder cannot take its name $pull_folder"
  if [ -e "$pull_folder" ]; then mv -T -- "$pull_folder" "$pull_part.old" 9>&- || return 1; fi
  mv -f -- "$pull_part.list" "$pull_folder.list" 9>&- && mv -T -- "$pull_part" "$pull_folder" 9>&- || return 1
  pull_remove "$pull_part"*
  pull_part=''
}
