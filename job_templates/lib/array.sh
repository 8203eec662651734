# shellcheck shell=bash disable=SC2154 # assigned by the rendered script
# One task of an array: it finds its attempt's control folder by its index, and becomes that attempt's own script.

# Sets gw_index and gw_id to what the scheduler says of this task; status 1 where it does not tell an index.
gw_array_task() {
  gw_index='' gw_id=''
  case $gw_scheduler in
    slurm)
      gw_index=${SLURM_ARRAY_TASK_ID-}
      gw_id=${SLURM_ARRAY_JOB_ID-}_$gw_index
      ;;
    pbs)
      gw_index=${PBS_ARRAY_INDEX-${PBS_ARRAYID-}}
      gw_id=${PBS_JOBID-}
      ;;
  esac
  [[ $gw_index =~ ^[1-9][0-9]{0,8}$ && $gw_id =~ ^[1-9][0-9]*[_[] ]]
}

# Sets gw_control to the control folder in line gw_index of the array's index; status 1 where there is none. Shared file
# systems may show new names some seconds late.
gw_array_control() {
  local tries
  for tries in {1..40}; do
    gw_control=$(sed -n "${gw_index}{p;q}" "$gw_array/index" 2>/dev/null)
    if [[ $gw_control == /* && -f $gw_control/job.sh ]]; then return 0; fi
    sleep 0.5
  done
  return 1
}

# The whole script of a task; its words go to the attempt's own folder from the moment that this is known.
gw_array_main() {
  gw_array_task || {
    printf 'the scheduler does not say which task this is: index %s, id %s\n' "$gw_index" "$gw_id" >&2
    exit 78
  }
  gw_array_control || {
    printf 'task %s has no control folder: %s\n' "$gw_id" "$gw_control" >&2
    exit 75
  }
  if ( : >>"$gw_control/scheduler.out" && : >>"$gw_control/scheduler.err" ) 2>/dev/null; then
    exec >>"$gw_control/scheduler.out" 2>>"$gw_control/scheduler.err"
  fi
  exec /bin/bash "$gw_control/job.sh" task "$gw_id"
}
