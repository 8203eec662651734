# shellcheck shell=bash
# Starts the payload, watches over it, ends it, and says how it ended.

# Starts the payload in a process group of its own, in the script's session: there the scheduler sees it.
gw_start_payload() {
  gw_count_oom_kills
  gw_oom_before=$gw_number
  gw_now
  gw_payload_started_at=$gw_at
  gw_status running "runtime=$gw_runtime"
  set -m
  (
    gw_tell_syncer payload
    gw_payload
  ) >"$gw_control/payload.out" 2>"$gw_control/payload.err" </dev/null &
  gw_payload_pid=$!
  set +m
}

# Tells the syncer this process's number, before anything is started that must not outlive the script. Arguments: WORD
gw_tell_syncer() {
  if [[ -n $gw_wire ]]; then printf '%s %s\n' "$1" "$BASHPID" >&"$gw_wire"; fi
}

# The shell that becomes, or waits for, the payload. A signal to the whole session must not end it before its child.
gw_payload() {
  set +m
  trap : TERM INT HUP USR1 USR2 XCPU
  umask "$gw_umask"
  gw_close_descriptors
  if [[ $gw_kind != ranks ]]; then gw_clean_environment; fi # each rank does that for itself
  cd -- "$gw_folder" || exit 126
  "gw_${gw_kind}_run"
  exit
}

# Closes all descriptors but the three streams: the payload gets nothing of the script's (gw_pause fails from here).
gw_close_descriptors() {
  local number
  for number in /proc/self/fd/*; do
    number=${number##*/}
    case $number in 0 | 1 | 2 | 255 | \* | "${gw_kept_descriptor:-0}") ;; *) eval "exec $number>&-" ;; esac
  done
}

# Takes all variables out of the environment but those that programs, schedulers, MPI and GPUs need. The runtime's own
# programs need a few more; what a container sees is decided by the runtime's library.
gw_clean_environment() {
  local name
  for name in $(compgen -e); do
    case $name in
      PATH | HOME | USER | LOGNAME | LANG | LC_* | TZ | TMPDIR | XDG_RUNTIME_DIR) ;;
      GW_SUBMISSION) ;; # by it what outlives the script is found on a plain machine
      PBS_* | SLURM_* | OMPI_* | PMI* | MPICH_* | I_MPI_* | UCX_* | FI_* | NCCL_* | OMP_* | NCPUS) ;;
      CUDA_VISIBLE_DEVICES | GPU_DEVICE_ORDINAL | NVIDIA_* | ROCR_* | HIP_VISIBLE_DEVICES | ZE_AFFINITY_MASK) ;;
      APPTAINER_*PASSWORD | SINGULARITY_*PASSWORD) export -n "${name?}" ;;
      APPTAINER_* | SINGULARITY_* | CH_* | DBUS_SESSION_BUS_ADDRESS | DOCKER_HOST) ;;
      *) export -n "${name?}" ;;
    esac
  done
  while read -r _ _ name; do export -nf "${name?}"; done < <(declare -Fx)
  if [[ -n $gw_locale ]]; then export LC_ALL="$gw_locale"; else unset -v LC_ALL; fi
  unset -v OLDPWD SHLVL
}

# Waits for the payload's end, or brings it about. Sets gw_exit, and gw_over to the time.
gw_wait_payload() {
  local ended=''
  while kill -0 "$gw_payload_pid" 2>/dev/null; do
    gw_look
    if [[ -n $gw_stop ]]; then
      gw_status stopping "reason=$gw_stop"
      gw_save_payload
      gw_end_payload
      break
    fi
    gw_follow_progress
    gw_pause 0.2
  done
  # A signal to the whole session may have reached the payload first.
  gw_pause 0.1
  "gw_${gw_kind}_alive" && gw_end_payload
  if kill -0 "$gw_payload_pid" 2>/dev/null; then
    gw_say "the payload (process $gw_payload_pid) cannot be ended"
    gw_exit=137
  else
    wait "$gw_payload_pid"
    gw_exit=$?
  fi
  gw_clock
  gw_over=$gw_time
  gw_now
  gw_payload_ended_at=$gw_at
  gw_last_progress
  gw_status payload_ended "exit_code:=$gw_exit"
}

# Ends everything of the payload. The runtime does it in a second process, so that a signal can still hurry it.
gw_end_payload() {
  local stopper limit hurried=$gw_terminated
  gw_start_stopper
  while kill -0 "$gw_payload_pid" 2>/dev/null || "gw_${gw_kind}_alive"; do
    gw_clock
    if [[ $hurried != "$gw_terminated" ]]; then
      hurried=$gw_terminated
      kill -KILL "$stopper" 2>/dev/null
      gw_start_stopper
    fi
    if ((gw_time > limit)); then break; fi
    gw_pause 0.1
  done
  while kill -0 "$stopper" 2>/dev/null && ((gw_time < limit)); do
    gw_pause 0.1
    gw_clock
  done
  kill -KILL "$stopper" 2>/dev/null
}

# Starts the stopper of gw_end_payload (sets its `stopper` and `limit`).
gw_start_stopper() {
  gw_set_grace
  limit=$((gw_time + gw_number + 600))
  (
    trap '' TERM INT HUP USR1 USR2 XCPU
    "gw_${gw_kind}_stop" $(((gw_number + 50) / 100))
  ) &
  stopper=$!
}

# Sets gw_number to the time that a payload gets to end by itself: half of what is left before others use force.
gw_set_grace() {
  local grace left
  gw_clock
  gw_hundredths "$gw_grace" && grace=$gw_number
  left=$(((gw_end - gw_time) / 2))
  if ((left < grace)); then grace=$left; fi
  if [[ -n $gw_terminated ]]; then
    left=$(((gw_terminated + gw_kill_time - 200 - gw_time) / 2))
    if ((left < grace)); then grace=$left; fi
  fi
  if [[ -z $gw_stop || -n $gw_superseded ]] && ((grace > 200)); then grace=200; fi
  if ((grace < 20)); then grace=20; fi
  gw_number=$grace
}

# Sets gw_outcome, gw_reason and gw_message from how the payload ended.
gw_judge() {
  local signal
  if [[ -n $gw_superseded ]]; then gw_yield; fi
  gw_outcome=ended gw_reason='' gw_message=''
  if [[ -n $gw_stop ]]; then
    gw_outcome=stopped gw_reason=$gw_stop
    case $gw_stop in
      walltime) gw_message="the payload was ended before its walltime of $gw_walltime s was over" ;;
      cancelled_by_user) gw_message="the payload was ended on request" ;;
      terminated) gw_message="the scheduler or the machine asked the job to end" ;;
    esac
  elif ((gw_exit > 128)); then
    signal=$(kill -l $((gw_exit - 128)) 2>/dev/null) || signal=$((gw_exit - 128))
    gw_reason=signalled gw_message="the payload was ended by signal $signal"
    gw_count_oom_kills
    if ((gw_exit == 137 && gw_number > gw_oom_before)); then
      gw_reason=out_of_memory gw_message="the payload was ended by the kernel: it used more memory than it had"
    fi
  elif ((gw_exit > 0)); then
    gw_reason=exit_code gw_message="the payload ended with exit code $gw_exit"
  fi
}

# Sets gw_number to how many processes of the script's own control group were killed for memory, 0 if unknown.
gw_count_oom_kills() {
  local number controllers path file word value
  gw_number=0
  while IFS=: read -r number controllers path; do
    case $controllers in
      '') file=/sys/fs/cgroup$path/memory.events ;;
      memory) file=/sys/fs/cgroup/memory$path/memory.oom_control ;;
      *) continue ;;
    esac
    [[ -r $file ]] || continue
    while read -r word value; do
      if [[ $word == oom_kill ]]; then gw_number=$value; fi
    done <"$file"
  done 2>/dev/null </proc/self/cgroup
}
