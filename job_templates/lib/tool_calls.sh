# shellcheck shell=bash
# Calls of tools: what a command on the payload's PATH does there, and what the script does for it on the node. See
# tools.sh for the folder by which they speak, and for what is trusted in it.

# Prints what each command does, in the shell of the payload's image. It hands over its arguments, its folder, its
# umask, the variables that changed since the payload's start, and its streams; passes signals on; and ends with the
# status of the tool.
gw_write_tool_client() {
  cat <<'CLIENT'
gw_path='' gw_rest=$PATH:
while [ -n "$gw_rest" ]; do
  gw_word=${gw_rest%%:*} gw_rest=${gw_rest#*:}
  [ "$gw_word" = "$gw_tools/bin" ] || gw_path=$gw_path${gw_path:+:}$gw_word
done
gw_old_path=$PATH PATH=$gw_path
gw_number=0
until mkdir "$gw_tools/calls/$$-$gw_number" 2>/dev/null; do
  gw_number=$((gw_number + 1))
  if [ "$gw_number" -gt 100 ]; then
    printf '%s: nothing can be written to %s/calls\n' "$gw_name" "$gw_tools" >&2
    exit 126
  fi
done
gw_call=$gw_tools/calls/$$-$gw_number
gw_quote() {
  gw_rest=$1 gw_done=''
  while :; do
    case $gw_rest in
      *\'*) gw_done=$gw_done${gw_rest%%\'*}"'\\''" gw_rest=${gw_rest#*\'} ;;
      *) break ;;
    esac
  done
  gw_quoted="'$gw_done$gw_rest'"
}
gw_variables() {
  gw_locale=${LC_ALL-} LC_ALL=C gw_line_end='
'
  gw_first=$gw_line_end$(cat "$gw_tools/env" 2>/dev/null)$gw_line_end
  while IFS= read -r gw_line; do
    gw_word=${gw_line%%=*}
    case $gw_word in
      '' | [0-9]* | *[!A-Za-z0-9_]* | PATH | PWD | OLDPWD | HOME | TMPDIR | SHLVL | _ | IFS | PS[124] | OPT* | gw_*) continue ;;
      UID | EUID | PPID | SHELLOPTS | BASH* | ENV | LD_* | APPTAINER* | SINGULARITY*) continue ;;
    esac
    eval "gw_value=\${$gw_word-}"
    if [ "$gw_word" = LC_ALL ]; then gw_value=$gw_locale; fi
    case $gw_value in
      *"$gw_line_end"*) ;;
      *) case $gw_first in *"$gw_line_end$gw_line$gw_line_end"*) continue ;; esac ;;
    esac
    gw_quote "$gw_value"
    printf 'export %s=%s\n' "$gw_word" "$gw_quoted"
  done
}
{
  printf 'umask %s\n' "$(umask)"
  gw_quote "$PWD"
  printf 'cd %s || exit 126\n' "$gw_quoted"
  env | gw_variables
  printf 'exec %s' "$gw_name"
  for gw_word do
    gw_quote "$gw_word"
    printf ' %s' "$gw_quoted"
  done
  printf '\n'
} >"$gw_call/call"
mkfifo "$gw_call/in" "$gw_call/out" "$gw_call/err" "$gw_call/status" || exit 126
gw_sent='' gw_early=''
gw_pass() {
  if [ -z "$gw_sent" ]; then gw_early=$1; else printf '%s %s\n' "$1" "${gw_call##*/}" >"$gw_tools/requests"; fi
}
for gw_word in TERM INT HUP QUIT USR1 USR2; do trap "gw_pass $gw_word" "$gw_word"; done
(exec 3<&0) 2>/dev/null || exec </dev/null
exec 3<&0 4<>"$gw_call/out" 5<"$gw_call/out" 6<>"$gw_call/err" 7<"$gw_call/err" 8<>"$gw_call/status"
(trap '' TERM INT HUP QUIT USR1 USR2 && exec cat <&5 3<&- 4>&- 6>&- 7<&- 8>&-) &
gw_out=$!
(trap '' TERM INT HUP QUIT USR1 USR2 && exec cat <&7 >&2 3<&- 4>&- 5<&- 6>&- 8>&-) &
gw_err=$!
(trap '' TERM INT HUP QUIT USR1 USR2 && exec 4>&- 5<&- 6>&- 7<&- 8>&- && exec cat <&3 >"$gw_call/in") 2>/dev/null &
gw_in=$!
(
  trap '' TERM INT HUP QUIT USR1 USR2
  exec 3<&- 4>&- 5<&- 6>&- 7<&-
  read -r gw_word <&8 && printf '%s\n' "$gw_word" >"$gw_call/ended"
) &
gw_end=$!
exec 3<&- 5<&- 7<&-
printf 'run %s %s\n' "${gw_call##*/}" "$gw_tool" >"$gw_tools/requests"
gw_sent=yes
if [ -n "$gw_early" ]; then gw_pass "$gw_early"; fi
gw_until() {
  while kill -0 "$1"; do wait "$1"; done
} 2>/dev/null
gw_until "$gw_end"
gw_status=126
{ read -r gw_status <"$gw_call/ended"; } 2>/dev/null
exec 4>&- 6>&- 8>&-
gw_until "$gw_out"
gw_until "$gw_err"
exec 2>/dev/null
kill -KILL "$gw_in"
rm -rf "$gw_call"
exit "$gw_status"
CLIENT
}

# What a tool begins with, in its own container: the streams of the call, then the call.
# shellcheck disable=SC2016
gw_tool_first='
exec <"$1/in" >"$1/out" 2>"$1/err"
if [ -n "${DEPLOY_PATH-}" ]; then PATH=$DEPLOY_PATH:$PATH; fi
. "$1/call"'

# Listens to requests and starts what they ask for, until it is killed.
gw_serve_tools() {
  local word id index
  trap : TERM INT HUP USR1 USR2 XCPU
  while :; do
    word=''
    IFS=' ' read -r word id index <&"$gw_requests" || continue
    [[ $id =~ ^[0-9]{1,10}-[0-9]{1,3}$ ]] || continue
    case $word in
      run)
        if [[ ! $index =~ ^[0-9]{1,3}$ || -z ${gw_tool_roots[10#$index]-} || -e $gw_control/tools/call.$id ]]; then continue; fi
        printf '0\n' >"$gw_control/tools/call.$id"
        set -m
        (gw_call_tool "$id" "$((10#$index))") </dev/null &
        set +m
        ;;
      TERM | INT | HUP | QUIT | USR1 | USR2)
        if [[ -e $gw_control/tools/call.$id ]]; then (gw_signal_tool "$word" "$id") </dev/null & fi
        ;;
    esac
  done
}

# One call: runs the container of tool INDEX for call ID, and gives its status back.
gw_call_tool() {
  local child status=126
  set +m
  trap : TERM INT HUP USR1 USR2 XCPU
  printf '%s\n' "$BASHPID" >"$gw_control/tools/call.$1.part" &&
    mv -f -- "$gw_control/tools/call.$1.part" "$gw_control/tools/call.$1"
  (
    trap : TERM INT HUP USR1 USR2 XCPU
    gw_be_tool "$1"
    exec {gw_requests}>&-
    gw_root=${gw_tool_roots[$2]}
    # shellcheck disable=SC2030
    gw_command=(/bin/sh -c "$gw_tool_first" gateway-tool "$gw_tool_place/calls/$1")
    if declare -F "gw_${gw_kind}_beside" >/dev/null; then
      "gw_${gw_kind}_beside" || { printf 'gateway: %s\n' "$gw_problem" >&2 && exit 126; }
    fi
    "gw_${gw_kind}_run"
  ) &
  child=$!
  while kill -0 "$child"; do
    wait "$child"
    status=$?
  done 2>/dev/null
  gw_answer_tool "$1" "$status"
  rm -f -- "$gw_control/tools/call.$1"
}

# Writes STATUS where call ID waits for it: into what is no link, in a folder that is where it seems to be.
gw_answer_tool() {
  cd -- "$gw_folder/.gateway/tools/calls/$1" && [[ $(pwd -P) == "$gw_tool_physical/calls/$1" ]] &&
    printf '%s\n' "$2" | dd of=status oflag=nofollow,nonblock conv=nocreat,notrunc status=none
} >/dev/null 2>&1

# Makes this shell one that works for the container of call ID.
gw_be_tool() {
  gw_kind=$gw_tool_kind gw_attempt=$gw_attempt-tool-$1 gw_payload_private='' gw_payload_pidfile=''
}

# Sets gw_payload_pid to the process of call ID. Status 1: it has ended.
gw_find_call() {
  gw_payload_pid=0
  { read -r gw_payload_pid <"$gw_control/tools/call.$1"; } 2>/dev/null
  [[ $gw_payload_pid =~ ^[0-9]{1,10}$ ]]
}

# Passes SIGNAL to the command of call ID, as soon as it is there.
gw_signal_tool() {
  local tries child
  gw_be_tool "$2"
  for ((tries = 0; tries < 600; tries++)); do
    gw_find_call "$2" || return
    if ((gw_payload_pid)) && gw_tool_find_init; then
      for child in $(gw_children_of "$gw_init"); do
        kill "-$1" "$child" 2>/dev/null && return
      done
    fi
    sleep 0.1
  done
}

# Sets gw_init as gw_payload_find_init does, also where the runtime says it in a file of its own folder.
gw_tool_find_init() {
  if [[ $gw_kind == podman ]]; then
    gw_payload_find_private || return 1
    gw_payload_pidfile=$gw_payload_private/pid
  fi
  gw_payload_find_init
}

# Ends all calls; each gets SECONDS.
gw_end_tools() {
  local file stoppers=()
  for file in "$gw_control"/tools/call.*; do
    (
      gw_be_tool "${file##*/call.}"
      gw_find_call "${file##*/call.}" && ((gw_payload_pid)) || exit
      "gw_${gw_kind}_stop" "$1"
      kill -KILL -- "-$gw_payload_pid"
    ) 2>/dev/null &
    stoppers+=($!)
  done
  wait ${stoppers[@]+"${stoppers[@]}"}
}
