# shellcheck shell=bash
# Keeps a gateway that lost its lease from changing anything on the target. Inlined before a remote command.

# gw_fence FOLDER NAME TOKEN: put up the fence NAME.TOKEN; fail, and say so, where a later one stands. A fence that
# cannot be put up (a full disk) keeps nobody out, and what stands there counts all the same.
gw_fence() {
  local own="$1/$2.$3" there token
  if ! [ -e "$own" ]; then
    [ -d "$1" ] || (umask 077 && mkdir -p -- "$1") 2>/dev/null
    (umask 077 && : >"$own") 2>/dev/null
  fi
  for there in "$1/$2".*; do
    token=${there##*.}
    case $token in '' | *[!0-9]*) continue ;; esac
    if [ "$token" -gt "$3" ]; then
      rm -f -- "$own" 2>/dev/null
      printf 'gateway-fence %s\n' "$token" >&2
      return 1
    fi
    if [ "$token" -lt "$3" ] && [ -e "$own" ]; then
      rm -f -- "$there" 2>/dev/null
    fi
  done
  return 0
}
