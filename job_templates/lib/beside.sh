# shellcheck shell=bash
# What runs beside the payload: the progress rule, and the command that asks the payload to save its state and end.
# Commands run in a second container of the same image, with the same /job: they see the payload's files, not its
# processes. Each is a process group of its own in the script's session, never two at once, with a limit of time, and
# the script goes on looking around meanwhile.

# Sets the first values.
gw_begin_beside() {
  gw_beside_pid='' gw_beside_end=0 gw_beside_ender='' gw_progress_next=0 gw_progress_seen=0 gw_progress_told=''
}

# Makes this shell one that works for the container beside the payload: it has a name and a folder of its own.
gw_be_beside() {
  case $gw_kind in
    ranks) gw_read_launch ;;
    tools) gw_read_tools && gw_kind=$gw_main_kind ;;
  esac
  gw_attempt=$gw_attempt-beside gw_payload_private='' gw_payload_pidfile='' gw_kept_descriptor=''
}

# Starts a program in a container beside the payload. Arguments: LIMIT (hundredths of a second) OUTPUT LONGEST (bytes
# of output that are kept) WORDS...
gw_start_beside() {
  local output=$2 longest=$3
  gw_beside_end=$((gw_time + $1)) gw_beside_ender=''
  shift 3
  set -m
  (
    set +m
    gw_tell_syncer beside
    gw_close_descriptors
    gw_be_beside
    gw_command=("$@")
    if declare -F "gw_${gw_kind}_beside" >/dev/null; then "gw_${gw_kind}_beside" || exit 125; fi
    (gw_payload) | { head -c "$longest" >"$output" && cat >/dev/null; }
    exit "${PIPESTATUS[0]}"
  ) </dev/null 2>/dev/null &
  gw_beside_pid=$!
  set +m
}

# Looks after what runs beside the payload: ends it when its time is over. Status 0 when it has ended; gw_beside_status
# is its status then (137 where it was ended).
gw_beside_ended() {
  if kill -0 "$gw_beside_pid" 2>/dev/null; then
    if ((gw_time > gw_beside_end)) && [[ -z $gw_beside_ender ]]; then
      gw_force_beside &
      gw_beside_ender=$!
    fi
    return 1
  fi
  wait "$gw_beside_pid" 2>/dev/null
  gw_beside_status=$?
  gw_forget_beside
}

# Forgets the process that ran beside the payload; its number may belong to another one soon.
gw_forget_beside() {
  gw_beside_pid=''
  if [[ -n $gw_wire ]]; then printf 'beside\n' >&"$gw_wire"; fi
}

# Ends the container beside the payload by force.
gw_force_beside() {
  trap '' TERM INT HUP USR1 USR2 XCPU
  gw_be_beside
  gw_payload_pid=$gw_beside_pid
  "gw_${gw_kind}_stop" 0
  kill -KILL -- "-$gw_beside_pid"
} 2>/dev/null

# Ends what runs beside the payload, if anything does, and waits for that, no longer than two seconds.
gw_end_beside() {
  local end
  gw_clock
  end=$((gw_time + 200))
  while [[ -n $gw_beside_pid ]] && ((gw_time < end)); do
    gw_beside_end=0
    gw_beside_ended || gw_pause 0.1
    gw_clock
  done
  while kill -0 "${gw_beside_ender:-none}" 2>/dev/null && ((gw_time < end)); do
    gw_pause 0.1
    gw_clock
  done
  if [[ -n $gw_beside_pid ]]; then gw_forget_beside; fi
}

# --- progress

# Evaluates the progress rule every few seconds, and reports what is new. Called by the loop that waits for the payload.
gw_follow_progress() {
  if [[ -z $gw_progress_pattern ]] && ((${#gw_progress_command[@]} == 0)); then return; fi
  if [[ -n $gw_beside_pid ]]; then
    gw_beside_ended || return
    gw_progress_next=$((gw_time + 300))
    if ((gw_beside_status == 0)); then gw_report_progress; fi
  elif ((gw_time >= gw_progress_next)); then
    gw_start_progress ''
  fi
}

# Evaluates a rule about a file once more, after the payload's end.
gw_last_progress() {
  local end
  gw_end_beside
  if [[ -z $gw_progress_pattern || -n $gw_terminated$gw_superseded ]]; then return; fi
  end=$((gw_time + 100))
  gw_start_progress yes
  while ! gw_beside_ended; do
    if ((gw_time > end)); then gw_end_beside && return; fi
    gw_pause 0.05
    gw_clock
  done
  if ((gw_beside_status == 0)); then gw_report_progress; fi
}

# Starts one evaluation. Argument: not empty where the payload has ended, so that the file's last line is whole.
gw_start_progress() {
  if ((${#gw_progress_command[@]})); then
    gw_start_beside 2000 "$gw_control/progress.part" 1000 "${gw_progress_command[@]}"
    return
  fi
  gw_beside_end=$((gw_time + 1000)) gw_beside_ender=''
  set -m
  (
    set +m
    gw_close_descriptors
    gw_read_progress "$1" >"$gw_control/progress.part"
  ) </dev/null 2>/dev/null &
  gw_beside_pid=$!
  set +m
}

# Prints what the pattern's group is in the last line of the rule's file that matches, and the file's size. Only what
# is new is read: some of what was read before, because a line may have been written in parts, and 64 KiB at most.
# Argument: that of gw_start_progress. Status 1: there is nothing new.
gw_read_progress() {
  local file=$gw_folder/$gw_progress_file size start line script
  if [[ $gw_progress_file == payload.out ]] && ! [[ -e $file ]]; then file=$gw_control/payload.out; fi
  [[ -f $file ]] && size=$(wc -c <"$file") || return 1
  if ((size == gw_progress_seen)) && [[ -z $1 ]]; then return 1; fi
  start=$((gw_progress_seen - 4096))
  if ((size < gw_progress_seen)); then start=0; fi
  if ((start < size - 65536)); then start=$((size - 65536)); fi
  if ((start < 0)); then start=0; fi
  script=''
  if [[ -z $1 ]]; then script+=\$d\;; fi
  if ((start > 0)); then script+=1d\;; fi
  line=$({ tail -c "+$((start + 1))" -- "$file" | head -c "$((size - start))" && { [[ -n $1 ]] || printf x; }; } |
    tr '\r\000' '\n ' | sed -e "$script" | grep -aE -e "$gw_progress_pattern" | tail -n 1)
  line=${line:0:4000}
  if [[ $line =~ $gw_progress_pattern ]]; then printf '%s' "${BASH_REMATCH[1]-}"; fi
  printf '\n%s\n' "$size"
}

# Reports the value that an evaluation found, where it is a number and another one than before.
gw_report_progress() {
  local value='' size=''
  { read -r value _ && read -r size; } 2>/dev/null <"$gw_control/progress.part"
  if [[ -n $gw_progress_pattern && $size =~ ^[0-9]{1,18}$ ]]; then gw_progress_seen=$size; fi
  value=${value%[%,;]}
  if [[ ! $value =~ ^[-+]?([0-9]{1,30}([.][0-9]{0,30})?|[.][0-9]{1,30})([eE][-+]?[0-9]{1,3})?$ ]]; then return; fi
  if [[ $value == "$gw_progress_told" ]]; then return; fi
  gw_progress_told=$value
  gw_status progress "value=$value"
}

# --- save and stop

# Before the payload is ended at its walltime or on request: runs the command that asks it to save its state, and gives
# it two thirds of its grace to end by itself. A command that fails, or a signal, cuts that short.
gw_save_payload() {
  local end status=''
  gw_end_beside
  if ((${#gw_save_command[@]} == 0)); then return; fi
  case $gw_stop in walltime | cancelled_by_user) ;; *) return ;; esac
  gw_set_grace
  gw_clock
  end=$((gw_time + gw_number * 2 / 3))
  gw_status saving
  gw_start_beside "$((end - gw_time))" "$gw_control/save.log" 65536 "${gw_save_command[@]}"
  while kill -0 "$gw_payload_pid" 2>/dev/null && ((gw_time < end)) && [[ -z $gw_signalled ]]; do
    gw_pause 0.1
    gw_clock
    if [[ -n $gw_beside_pid ]] && gw_beside_ended; then
      status=$gw_beside_status
      if ((status)); then gw_say "the command that saves the payload's state ended with status $status" && break; fi
    fi
  done
  if [[ -n $gw_beside_pid ]] && gw_beside_ended; then status=$gw_beside_status; fi
  gw_end_beside
  gw_status saved "exit_status:=${status:-null}"
}
