# shellcheck shell=bash disable=SC2154 # the array is assigned by the caller
# Makes the folder of an array just before it is submitted. Inlined into a remote command; bash 4.2.

# gw_array_look: look at the control folders of all gw_array_tasks. Prints "missing INDEX" (status 98: nothing may be
# sent) or "claimed INDEX ID" (status 97: a run has begun already).
gw_array_look() {
  local index status=0
  for index in "${!gw_array_tasks[@]}"; do
    if [ ! -f "${gw_array_tasks[index]}/job.sh" ]; then
      printf 'missing %d\n' $((index + 1))
      status=98
    elif [ -s "${gw_array_tasks[index]}/claim" ]; then
      printf 'claimed %d %s\n' $((index + 1)) "$(sed -n 's/^scheduler_id=//p' "${gw_array_tasks[index]}/claim")"
      [ "$status" = 98 ] || status=97
    fi
  done
  return "$status"
}

# gw_array_make FOLDER SCRIPT: make the array's folder with its index and its script, published by a rename, unless it is
# there already.
gw_array_make() {
  local new="$1.new.$$"
  [ ! -f "$1/job.sh" ] || return 0
  (
    umask 077
    mkdir -p -- "${1%/*}" && mkdir -- "$new" &&
      printf '%s\n' "${gw_array_tasks[@]}" >"$new/index" &&
      printf '%s' "$2" >"$new/job.sh" && chmod 0700 -- "$new/job.sh" &&
      mv -T -- "$new" "$1"
  ) || {
    rm -rf -- "$new"
    return 1
  }
}
