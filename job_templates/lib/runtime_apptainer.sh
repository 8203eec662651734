# shellcheck shell=bash
# Apptainer, and Singularity, which takes the same arguments under its own names.

# Say whether program $1 is here; gw_problem says why not.
gw_apptainer_family_available() {
  if ! command -v "$1" >/dev/null 2>&1; then
    gw_problem="$1 is not on PATH of ${HOSTNAME:-this node}"
    return 1
  fi
}

# Fill gw_argv with the command line of program $1, whose variables begin with $2.
# The payload's variables travel as <PREFIX>ENV_<NAME>, because --env splits values at commas.
gw_apptainer_family_argv() {
  local bind word
  gw_payload_env /job
  gw_argv=("$(command -v env)")
  for word in "${gw_env_words[@]}"; do
    gw_argv+=("${2}ENV_$word")
  done
  gw_argv+=("$(command -v "$1")" --silent exec --containall --no-home --pid --cleanenv)
  if [ "$(id -u)" -eq 0 ]; then
    gw_argv+=(--no-privs)
  fi
  if [ "${gw_gpus:-0}" -gt 0 ]; then
    gw_argv+=(--nv)
  fi
  for bind in ${gw_binds[@]+"${gw_binds[@]}"}; do
    gw_argv+=(--bind "$bind:$bind:ro")
  done
  gw_argv+=(--bind "$gw_folder:/job" --pwd /job "$gw_root" "${gw_command[@]}")
}

# Ask every process of the payload's group to end; after $1 seconds force it.
gw_apptainer_family_stop() {
  kill -TERM -- "-$gw_payload_pid" 2>/dev/null
  gw_payload_gone "$1" || gw_payload_kill
}

# The functions of docs/job-folder.md under both names.
gw_apptainer_available() { gw_apptainer_family_available apptainer; }
# The image file is used as it is.
gw_apptainer_prepare() { gw_root=$1; }
# Run the payload; replaces the calling process.
gw_apptainer_run() {
  gw_apptainer_family_argv apptainer APPTAINER
  exec "${gw_argv[@]}"
}
# Ask, then force.
gw_apptainer_stop() { gw_apptainer_family_stop "$1"; }
# Status 0 while the payload lives.
gw_apptainer_alive() { kill -0 "$gw_payload_pid" 2>/dev/null; }
# Say whether this node can run Singularity.
gw_singularity_available() { gw_apptainer_family_available singularity; }
# The image file is used as it is.
gw_singularity_prepare() { gw_root=$1; }
# Run the payload; replaces the calling process.
gw_singularity_run() {
  gw_apptainer_family_argv singularity SINGULARITY
  exec "${gw_argv[@]}"
}
# Ask, then force.
gw_singularity_stop() { gw_apptainer_family_stop "$1"; }
# Status 0 while the payload lives.
gw_singularity_alive() { kill -0 "$gw_payload_pid" 2>/dev/null; }
