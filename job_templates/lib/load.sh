# shellcheck shell=bash disable=SC2154 # assigned by the rendered script
# How a job's script gets its libraries: one file on the target for all jobs, whose digest the script knows. Without
# them it still claims its attempt, and leaves a final record that says what is wrong.

# Sets gw_text to the libraries; status 1 where their file is not there, 2 where it has another digest.
gw_read_libraries() {
  local digest
  gw_text=$(cat -- "$gw_libraries" 2>/dev/null && printf x)
  [[ -n $gw_text ]] || return 1
  gw_text=${gw_text%x}
  digest=$(printf '%s' "$gw_text" | sha256sum)
  [[ ${digest%% *} == "$gw_libraries_digest" ]] || return 2
}

# Brings the libraries in, or ends the script. Shared file systems may show new names some seconds late. Arguments:
# those of the script.
gw_load() {
  local tries status
  for tries in {1..20}; do
    gw_read_libraries
    status=$?
    if ((status == 0)); then
      eval "$gw_text"
      unset gw_text
      return
    fi
    ((tries == 20)) || sleep 0.5
  done
  gw_text="cannot be read"
  if ((status == 2)); then gw_text="are damaged"; fi
  gw_text="the script's libraries ${gw_libraries//[!A-Za-z0-9 _.\/+@%=,:-]/?} $gw_text"
  printf '%s\n' "$gw_text" >&2
  case ${1-} in '' | task) gw_end_unloaded "$@" ;; esac
  exit 74
}

# Claims the attempt as gw_claim does (records.sh), and leaves its final record. Arguments: those of the script.
gw_end_unloaded() {
  local id='' token at boot stat mine=$gw_control/.claim.$$
  umask 077
  case $gw_scheduler in
    slurm) id=${SLURM_JOB_ID-} ;;
    pbs) id=${PBS_JOBID-} ;;
    direct)
      read -r boot </proc/sys/kernel/random/boot_id
      read -r -d '' stat <"/proc/$$/stat"
      read -r -a stat <<<"${stat##*) }"
      id=$$.${stat[19]}.${boot:0:8}
      ;;
  esac
  if [[ ${1-} == task ]]; then id=${2-}; fi
  [[ $id =~ ^[A-Za-z0-9][]A-Za-z0-9._@[-]*$ ]] || exit 78
  token=$(od -An -v -N16 -tx1 /dev/urandom)
  token=${token//[!0-9a-f]/}
  printf 'scheduler_id=%s\ntoken=%s\n' "$id" "$token" >"$mine" || exit 75
  # Where links are refused, whoever makes the folder may claim.
  if ln "$mine" "$mine.link" 2>/dev/null; then
    ln "$mine" "$gw_control/claim" || exit 75
  else
    mkdir "$gw_control/claim.made" && mv -- "$mine" "$gw_control/claim" || exit 75
  fi
  rm -f -- "$mine" "$mine.link" "$gw_control/credentials"
  TZ=UTC0 printf -v at '%(%Y-%m-%dT%H:%M:%SZ)T' -1
  printf '{"version":1,"job":"%s","attempt":%s,"scheduler_id":"%s","token":"%s","host":"%s",%s%s%s}\n' \
    "$gw_job" "$gw_attempt" "$id" "$token" "$(uname -n)" \
    '"runtime":null,"outcome":"not_started","exit_code":null,"reason":"node_failed",' \
    "\"message\":\"$gw_text\",\"claimed_at\":\"$at\",\"payload_started_at\":null,\"payload_ended_at\":null," \
    "\"ended_at\":\"$at\",\"image\":null,\"passes\":[],\"manifest\":false" >"$gw_control/final.json.part" &&
    mv -fT -- "$gw_control/final.json.part" "$gw_control/final.json"
  exit 1
}
