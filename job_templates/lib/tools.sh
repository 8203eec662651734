# shellcheck shell=bash
# Tools: images whose commands the payload calls as if they were installed. Each command is a small program in a folder
# on the payload's PATH, which asks for a container of the tool's image beside the payload's. For the rest of the script
# all of it is one more runtime, `tools`, around the payload's own.
#
# Below the job's folder, for payload and tools: .gateway/tools/ with bin/ (the commands), client (what each of them
# does), requests (a FIFO: `run ID INDEX` or `SIGNAL ID`), env (the payload's variables at its start), and calls/ID/
# with the streams. A payload may put anything at those names. So this script holds `requests` open from before the
# payload's start, takes an id and a number from it, and opens nothing else there: what a call says is read in the
# tool's container, which sees what the payload sees. Only the status goes back, never by way of a link.

# --- images

# Pulls and prepares the images of all tools, and learns their commands. Status 1, and gw_problem: it cannot be done.
gw_get_tools() {
  local index
  gw_tool_kind='' gw_tool_roots=() gw_tool_names=()
  if ((${#gw_tool_refs[@]} == 0)); then return 0; fi
  gw_find_tool_runtime || return 1
  for ((index = 0; index < ${#gw_tool_refs[@]}; index++)); do
    if ! gw_get_tool "$index"; then
      gw_problem="the tool ${gw_tool_titles[index]} cannot be used: $gw_problem"
      return 1
    fi
  done
}

# Sets gw_tool_kind: the payload's own runtime, or, for one on the host, the first that the node has.
gw_find_tool_runtime() {
  local gw_runtimes gw_runtime='' kind=$gw_kind
  gw_tool_kind=$gw_kind
  [[ $gw_kind == host ]] || return 0
  gw_runtimes=(${gw_tool_runtimes[@]+"${gw_tool_runtimes[@]}"})
  gw_find_runtime || { gw_problem="tools need a container runtime: ${gw_problem:-none is configured}" && return 1; }
  gw_tool_kind=$gw_kind gw_kind=$kind
}

# Pulls and prepares the image of tool INDEX; fills its place in gw_tool_roots and gw_tool_names.
gw_get_tool() {
  local gw_kind=$gw_tool_kind gw_runtime=$gw_tool_kind gw_root='' gw_payload_private='' gw_payload_pidfile=''
  local pull_path='' pull_digest='' pull_cached='' pull_bytes='' pull_folder='' pull_reason='' pull_message=''
  local gw_image_ref=${gw_tool_refs[$1]} gw_image_digest=${gw_tool_digests[$1]} gw_image_mirrors=() known=''
  local gw_metalink
  if [[ -n ${gw_tool_mirrors[$1]} ]]; then mapfile -t gw_image_mirrors <<<"${gw_tool_mirrors[$1]}"; fi
  gw_metalink=tool.$1.meta4
  gw_get_image || return 1
  if [[ -n $gw_payload_private ]]; then rm -rf --one-file-system -- "$gw_payload_private"; fi
  gw_tool_roots[$1]=$gw_root
  known=${gw_tool_commands[$1]}
  if [[ -z $known ]]; then
    gw_scan_tool || return 1
    known=$gw_text
  fi
  gw_tool_names[$1]=$known
}

# What an image says of its commands, in its own shell: DEPLOY_BINS (names) and DEPLOY_PATH (folders), with colons
# between them, and else what is to be found where images have programs of their own.
# shellcheck disable=SC2016
gw_tool_scan='
gw_list() {
  for gw_file in "$1"/*; do
    if [ -f "$gw_file" ] && [ -x "$gw_file" ]; then printf "%s\n" "${gw_file##*/}"; fi
  done
}
if [ -n "${DEPLOY_BINS-}${DEPLOY_PATH-}" ]; then
  set -f
  IFS=:
  for gw_word in ${DEPLOY_BINS-}; do printf "%s\n" "$gw_word"; done
  set -- ${DEPLOY_PATH-}
  set +f
  for gw_folder do
    case ${gw_folder%/} in /bin | /sbin | /usr/bin | /usr/sbin | "") ;; *) gw_list "${gw_folder%/}" ;; esac
  done
else
  for gw_folder in /opt/*/bin /usr/local/bin; do gw_list "$gw_folder"; done
fi'

# Asks the image gw_root for its commands; sets gw_text to them, one a line. Status 1, and gw_problem: it has none.
gw_scan_tool() {
  local line count=0
  gw_clock
  gw_start_beside 12000 "$gw_control/tools.part" 1000000 /bin/sh -c "$gw_tool_scan"
  until gw_beside_ended; do
    gw_look
    if [[ -n $gw_stop ]]; then gw_beside_end=0; fi
    gw_pause 0.05
    gw_clock
  done
  gw_text=''
  while IFS= read -r line && ((count < 5000)); do
    if gw_tool_name_fits "$line"; then gw_text+=$line$'\n' count=$((count + 1)); fi
  done 2>/dev/null <"$gw_control/tools.part"
  rm -f -- "$gw_control/tools.part"
  gw_text=${gw_text%$'\n'}
  if ((gw_beside_status != 0)); then
    gw_problem="its image could not be asked for its commands (status $gw_beside_status)"
  elif ((count == 0)); then
    gw_problem="its image declares no commands (DEPLOY_BINS, DEPLOY_PATH) and has none in /usr/local/bin; name them"
  fi
  ((gw_beside_status == 0 && count > 0))
}

# Whether NAME can be a command on the payload's PATH. What the commands themselves need is left to the payload's image.
gw_tool_name_fits() {
  case $1 in sh | bash | dash | env | cat | mkdir | mkfifo | rm | kill | printf | test | true | gateway-*) return 1 ;; esac
  [[ $1 =~ ^[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,127}$ ]]
}

# --- what the payload finds

# Where the job has tools: makes their folder, and makes `tools` the runtime. Status 1, with gw_problem: it cannot be done.
gw_begin_tools() {
  local made=$gw_control/tools.made
  if ((${#gw_tool_refs[@]} == 0)); then return 0; fi
  if [[ $gw_folder != "$gw_place" ]]; then made=$gw_folder.tools; fi # a rename must not leave the file system
  gw_tool_place=/job/.gateway/tools gw_twin=''
  if [[ $gw_kind == host ]]; then gw_tool_place=$gw_folder/.gateway/tools gw_twin=$gw_folder; fi
  gw_problem="the folder of the tools cannot be made below $gw_folder"
  rm -rf -- "$made" "$gw_control/tools"
  mkdir -p -- "$made/tools/bin" "$made/tools/calls" "$gw_control/tools" && mkfifo -- "$made/tools/requests" || return 1
  if [[ -n $gw_twin ]] && ! gw_make_twins; then return 1; fi
  gw_write_tools "$made/tools" && exec {gw_requests}<>"$made/tools/requests" || return 1
  # what an earlier run of the payload may have left there is not followed
  rm -rf -- "$gw_folder/.gateway" && mv -T -- "$made" "$gw_folder/.gateway" || return 1
  gw_tool_physical=$(cd -P -- "$gw_folder" && pwd -P)/.gateway/tools
  printf 'kind=%s\nmain=%s\n' "$gw_tool_kind" "$gw_kind" >"$gw_control/tools/kinds" || return 1
  gw_main_kind=$gw_kind gw_kind=tools gw_kept_descriptor=$gw_requests gw_problem=''
}

# Where the payload is on the host: has the job's folder its own place in the tools' containers, too. Status 1, and
# gw_problem: it cannot be.
gw_make_twins() {
  local gw_root
  declare -F "gw_${gw_tool_kind}_twin" >/dev/null || return 0
  for gw_root in "${gw_tool_roots[@]}"; do
    "gw_${gw_tool_kind}_twin" "$gw_twin" || return 1
  done
}

# shellcheck disable=SC2016
# Writes commands and client into FOLDER. Of two tools with the same command the first one has it.
gw_write_tools() {
  local index name place
  printf -v place '%q' "$gw_tool_place"
  case $place in \$*) place="'${gw_tool_place//\'/\'\\\'\'}'" ;; esac # $'…' is bash's alone
  gw_write_tool_client >"$1/client" || return 1
  for ((index = 0; index < ${#gw_tool_refs[@]}; index++)); do
    while IFS= read -r name; do
      if ! gw_tool_name_fits "$name" || [[ -e $1/bin/$name ]]; then continue; fi
      printf '#!/bin/sh\ngw_tool=%s gw_name=%s gw_tools=%s\n. "$gw_tools/client"\n' "$index" "$name" "$place" \
        >"$1/bin/$name" || return 1
    done <<<"${gw_tool_names[index]}"
  done
  chmod -R 0755 -- "$1/bin"
}

# What the payload begins with: its own variables are written down, and the commands come first on PATH.
# shellcheck disable=SC2016
gw_tools_enter='
gw_tools=$1
shift
env >"$gw_tools/env"
PATH=$gw_tools/bin:$PATH
export PATH
case $1 in *=*) exec env sh -c '\''exec "$@"'\'' sh "$@" ;; esac
exec env "$@"'

# Removes what the tools left in the job's folder and in the control folder.
gw_clear_tools() {
  if ((${#gw_tool_refs[@]} == 0)); then return; fi
  rm -rf -- "$gw_folder/.gateway" "$gw_control/tools" "$gw_control/tools.made"
}

# --- the runtime `tools`

# Sets gw_tool_kind and gw_main_kind where another process of the attempt has found them. Status 1: it has not.
gw_read_tools() {
  local line
  gw_tool_kind='' gw_main_kind='' gw_main_pid=''
  while IFS= read -r line; do
    case $line in
      kind=*) gw_tool_kind=${line#*=} ;;
      main=*) gw_main_kind=${line#*=} ;;
    esac
  done 2>/dev/null <"$gw_control/tools/kinds"
  { read -r gw_main_pid <"$gw_control/tools/main"; } 2>/dev/null
  [[ -n $gw_tool_kind && -n $gw_main_kind ]]
}

# Status 0 where the node can use the runtimes of payload and tools.
gw_tools_available() {
  gw_read_tools && "gw_${gw_tool_kind}_available" && "gw_${gw_main_kind}_available"
}

# Makes this shell one that works for the payload's own container.
gw_be_main() {
  gw_kind=$gw_main_kind gw_payload_pid=${gw_main_pid:-0}
}

# Runs the payload in its own runtime, and beside it what its commands ask for; ends with the payload's status.
gw_tools_run() {
  local status=126
  set -m
  (
    set +m
    trap : TERM INT HUP USR1 USR2 XCPU
    exec {gw_requests}>&-
    gw_be_main
    gw_twin=''
    # shellcheck disable=SC2031
    gw_command=(/bin/sh -c "$gw_tools_enter" gateway-tools "$gw_tool_place" "${gw_command[@]}")
    "gw_${gw_kind}_run"
    exit
  ) &
  gw_main_pid=$!
  set +m
  printf '%s\n' "$gw_main_pid" >"$gw_control/tools/main"
  gw_serve_tools </dev/null &
  while kill -0 "$gw_main_pid"; do
    wait "$gw_main_pid"
    status=$?
  done 2>/dev/null
  { kill -KILL $! && wait $!; } 2>/dev/null
  gw_end_tools 1
  return "$status"
}

# Asks the payload to end, whose commands then ask the tools; forces it after SECONDS, and the tools at its end.
gw_tools_stop() {
  local tenths
  if gw_read_tools && [[ -n $gw_main_pid ]]; then
    (
      gw_be_main
      "gw_${gw_kind}_stop" "$1"
    )
    for ((tenths = 0; tenths < 50; tenths++)); do
      gw_payload_lives "$gw_payload_pid" || break
      sleep 0.1
    done
  fi
  kill -KILL -- "-$gw_payload_pid" 2>/dev/null
  gw_end_tools 0
}

# Status 0 while anything of the payload or of a tool lives.
gw_tools_alive() {
  local file
  gw_payload_lives "$gw_payload_pid" && return 0
  gw_read_tools || return 1
  for file in "$gw_control"/tools/call.*; do
    (gw_find_call "${file##*/call.}" && gw_be_tool "${file##*/call.}" && "gw_${gw_kind}_alive") && return 0
  done
  [[ -n $gw_main_pid ]] && (gw_be_main && "gw_${gw_kind}_alive")
}
