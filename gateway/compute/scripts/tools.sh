# shellcheck shell=bash
# Brings programs to a target, each once, checked by its digest. Inlined into a remote command.

# gw_tool_look FILE BYTES: tell what is there: "have", or the machine's architecture and its own rclone.
gw_tool_look() {
  if [ -x "$1" ] && [ "$(stat -c %s -- "$1")" = "$2" ]; then
    printf 'have\n'
    return
  fi
  printf 'machine %s\n' "$(uname -m)"
  local own
  if own=$(command -v rclone); then
    printf 'own %s %s\n' "$(rclone version 2>/dev/null | head -n 1 | tr -dc 'A-Za-z0-9. -')" "$own"
  fi
}

# gw_tool_take FILE SHA256 NONCE: take a gzip stream from standard input as FILE, published by rename.
gw_tool_take() {
  local folder=${1%/*} new old
  new="$folder.$3"
  old="$folder.$3.old"
  umask 022
  mkdir -p -- "${folder%/*}" && mkdir -- "$new" || return 1
  # shellcheck disable=SC2064 # the folder is known now
  trap "rm -rf -- $(printf '%q %q' "$new" "$old")" EXIT
  gzip -dc >"$new/${1##*/}" || return 1
  if ! printf '%s  %s\n' "$2" "$new/${1##*/}" | sha256sum -c --status; then
    printf 'it arrived with another digest\n' >&2
    return 1
  fi
  chmod 0755 -- "$new/${1##*/}" || return 1
  if ! "$new/${1##*/}" version >/dev/null; then
    printf 'it cannot be executed in %s (is it mounted noexec?)\n' "${folder%/*}" >&2
    return 1
  fi
  # Somebody else may have brought it meanwhile: any of them is as good. One that is torn makes way.
  if ! mv -T -- "$new" "$folder" 2>/dev/null; then
    mv -T -- "$folder" "$old" && mv -T -- "$new" "$folder"
  fi
}

# gw_library_look FILE SHA256: tell "have" where the libraries of jobs' scripts are there and whole. It makes their time a
# new one, so that nobody who removes old files takes them from jobs that wait.
gw_library_look() {
  if [ -f "$1" ] && printf '%s  %s\n' "$2" "$1" | sha256sum -c --status 2>/dev/null; then
    touch -c -- "$1" 2>/dev/null
    printf 'have\n'
  fi
}

# gw_library_take FILE SHA256 NONCE: take the libraries from standard input as FILE, published by rename.
gw_library_take() {
  local new="$1.$3"
  umask 022
  mkdir -p -- "${1%/*}" || return 1
  # shellcheck disable=SC2064 # the name is known now
  trap "rm -f -- $(printf '%q' "$new")" EXIT
  cat >"$new" || return 1
  if ! printf '%s  %s\n' "$2" "$new" | sha256sum -c --status; then
    printf 'they arrived with another digest\n' >&2
    return 1
  fi
  chmod 0444 -- "$new" && mv -fT -- "$new" "$1"
}
