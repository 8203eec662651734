#!/bin/bash
# Makes the mesh, solves, and converts what was written for viewers: one log for each program.
set -u
program=''

# Passes a signal on to the program that runs; what it has written is converted all the same.
# shellcheck disable=SC2329 # called by the trap
stop() { [ -z "$program" ] || kill -TERM "$program" 2>/dev/null; }

# Runs a program with its log. Arguments: PROGRAM ARGUMENT... Status: the program's.
run() {
  local status=0
  printf '%s\n' "running $*"
  "$@" >"log.$1" 2>&1 &
  program=$!
  while wait "$program" || status=$?; ((status > 128)) && kill -0 "$program" 2>/dev/null; do status=0; done
  program=''
  if ((status != 0)); then
    printf '%s\n' "$1 ended with status $status; the end of log.$1:" >&2
    tail -n 20 "log.$1" >&2
  fi
  return "$status"
}

trap stop TERM INT
run blockMesh || exit
solved=0
run icoFoam || solved=$?
run foamToVTK -legacy -ascii -name VTK || ((solved)) || solved=$?
exit "$solved"
