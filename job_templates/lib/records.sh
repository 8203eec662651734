# shellcheck shell=bash
# What a run writes down: time, JSON, status lines, the claim, the final record. docs/job-folder.md is the protocol.
# Functions answer in variables, not on standard output: that costs no process. The locale must be C.

# Reads the machine's monotonic clock into gw_time, in hundredths of a second; gw_terminated becomes the time of the
# first look after a signal.
gw_clock() {
  local up rest
  read -r up rest </proc/uptime
  gw_time=$((10#${up/./}))
  if [[ -n ${gw_signalled-} ]]; then : "${gw_terminated:=$gw_time}"; fi
}

# Sets gw_number to the decimal number TEXT in hundredths.
gw_hundredths() {
  local whole=${1%%.*} part=''
  case $1 in *.*) part=${1#*.} ;; esac
  part=${part}00
  gw_number=$((10#${whole:-0} * 100 + 10#${part:0:2}))
}

# Opens a pipe that stays silent, on which gw_pause waits without a process of its own.
gw_open_silence() {
  exec {gw_silence}<> <(:)
}

# Waits SECONDS (a decimal number).
gw_pause() {
  local nothing
  read -r -t "$1" -u "$gw_silence" nothing || :
}

# Sets gw_at to the time of day in RFC 3339, with milliseconds where bash (5) knows them.
gw_now() {
  local seconds=-1 part='' real=${EPOCHREALTIME-}
  if [[ $real == *.* ]]; then
    seconds=${real%.*}
    part=.${real#*.}
    part=${part:0:4}
  fi
  TZ=UTC0 printf -v gw_at "%(%Y-%m-%dT%H:%M:%S)T${part}Z" "$seconds"
}

# Writes one line about this run into the script's own log.
gw_say() {
  gw_now
  printf '%s %s: %s\n' "$gw_at" "${gw_id:-$$}" "$*" >&2
}

# Sets gw_start to the start time (clock ticks since boot) of process PID; status 1 where it has ended.
gw_process() {
  local line fields
  { IFS= read -r -d '' line <"/proc/$1/stat"; } 2>/dev/null
  [[ ${line-} == *') '* ]] || return 1
  IFS=' ' read -r -a fields <<<"${line##*) }" # the name before it may hold anything
  case ${fields[0]} in Z | X | x) return 1 ;; esac
  gw_start=${fields[19]}
}

# Status 0 while the process PID that started at START lives.
gw_lives() {
  gw_process "$1" && [[ $gw_start == "$2" ]]
}

# --- JSON

# Sets gw_text to TEXT as a JSON string in ASCII. Bytes that are not UTF-8 become '?'; long text is cut.
gw_json() {
  local text=$1 out='' char byte point more i
  ((${#text} <= 4000)) || text="${text:0:4000} (cut)"
  case $text in
    *[!\ -~]* | *[\"\\]*) ;;
    *)
      gw_text=\"$text\"
      return
      ;;
  esac
  for ((i = 0; i < ${#text}; i++)); do
    char=${text:i:1}
    case $char in
      [\"\\]) out+=\\$char ;;
      [\ -~]) out+=$char ;;
      *)
        printf -v byte %d "'$char"
        byte=$((byte & 255)) more=0 point=$byte
        if ((byte >= 0xc2 && byte <= 0xdf)); then more=1 point=$((byte & 31)); fi
        if ((byte >= 0xe0 && byte <= 0xef)); then more=2 point=$((byte & 15)); fi
        if ((byte >= 0xf0 && byte <= 0xf4)); then more=3 point=$((byte & 7)); fi
        if ((more)); then gw_json_rest "${text:i+1:more}" "$more" "$point" && i=$((i + more)); fi
        if ((byte < 0x80)) || { ((more)) && ((point >= 0)); }; then gw_json_point "$point"; else gw_text='?'; fi
        out+=$gw_text
        ;;
    esac
  done
  gw_text=\"$out\"
}

# Reads the rest of a character: sets `point` of gw_json to its code point, or to -1 (and status 1). Arguments: the
# COUNT bytes that should follow, COUNT, the first byte's bits.
gw_json_rest() {
  local least=(0 0x80 0x800 0x10000) i byte
  point=$3
  for ((i = 0; i < $2; i++)); do
    printf -v byte %d "'${1:i:1}"
    byte=$((byte & 255))
    if ((byte < 0x80 || byte > 0xbf)); then point=-1 && return 1; fi
    point=$((point << 6 | (byte & 63)))
  done
  if ((point < least[$2] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))); then
    point=-1 && return 1
  fi
}

# Sets gw_text to the escape of the code point NUMBER.
gw_json_point() {
  if (($1 < 0x10000)); then
    printf -v gw_text '\\u%04x' "$1"
  else
    printf -v gw_text '\\u%04x\\u%04x' $((0xd800 + (($1 - 0x10000) >> 10))) $((0xdc00 + (($1 - 0x10000) & 0x3ff)))
  fi
}

# Sets gw_text to TEXT as a JSON string, or to null where it is empty.
gw_json_or_null() {
  if [[ -n $1 ]]; then gw_json "$1"; else gw_text=null; fi
}

# Appends a status line. Arguments: PHASE, then NAME=TEXT or NAME:=JSON.
gw_status() {
  local line name
  gw_now
  line="{\"at\":\"$gw_at\",\"token\":\"$gw_token\",\"phase\":\"$1\""
  shift
  for name in "$@"; do
    gw_text=${name#*=}
    name=${name%%=*}
    if [[ $name == *: ]]; then name=${name%:}; else gw_json "$gw_text"; fi
    line+=",\"$name\":$gw_text"
  done
  { printf '%s}\n' "$line" >>"$gw_control/status.jsonl"; } 2>/dev/null || :
}

# --- the claim

# Sets gw_id to the scheduler's id of this run (gw_task, where it is a task of an array); status 1 where it cannot be known.
gw_own_id() {
  local boot
  gw_id=''
  case $gw_scheduler in
    pbs) gw_id=${gw_task:-${PBS_JOBID-}} ;;
    slurm) gw_id=${gw_task:-${SLURM_JOB_ID-}} ;;
    direct)
      { read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || return 1
      gw_process $$ || return 1
      gw_id=$$.$gw_start.${boot:0:8}
      ;;
  esac
  [[ $gw_id =~ ^[A-Za-z0-9][]A-Za-z0-9._@[-]*$ ]]
}

# Sets gw_token to 32 random hexadecimal digits.
gw_new_token() {
  gw_token=$(od -An -v -N16 -tx1 /dev/urandom)
  gw_token=${gw_token//[!0-9a-f]/}
  [[ ${#gw_token} == 32 ]]
}

# Reads the claim into gw_claim_id and gw_claim_token; status 1 where there is none, or not a whole one.
gw_read_claim() {
  local line
  gw_claim_id='' gw_claim_token=''
  while IFS= read -r line; do
    case $line in
      scheduler_id=*) gw_claim_id=${line#*=} ;;
      token=*) gw_claim_token=${line#*=} ;;
    esac
  done 2>/dev/null <"$gw_control/claim"
  [[ -n $gw_claim_id && ${#gw_claim_token} == 32 ]]
}

# Status 0 while the claim is this run's. A claim that cannot be read just now is still ours.
gw_holds_claim() {
  ! gw_read_claim || [[ $gw_claim_token == "$gw_token" ]]
}

# Claims the attempt. Sets gw_claimed: `first`, `again` (a scheduler's rerun of the same id), `over` (one of an attempt
# that is over), `other` (another id holds it), or `failed`.
gw_claim() {
  local mine=$gw_control/.claim.$gw_host.$$ tries
  gw_claimed=failed
  gw_new_token || return 0
  printf 'scheduler_id=%s\ntoken=%s\n' "$gw_id" "$gw_token" >"$mine" || return 0
  # Links are tried on a name of our own first: only then does a refused link mean that the claim exists.
  if ln "$mine" "$mine.link" 2>/dev/null; then
    for tries in 1 2 3 4 5; do
      ln "$mine" "$gw_control/claim" 2>/dev/null
      gw_read_claim && break
      gw_pause 0.$tries
    done
  elif mkdir "$gw_control/claim.made" 2>/dev/null; then
    mv -- "$mine" "$gw_control/claim"
  else
    for ((tries = 0; tries < 150; tries++)); do
      gw_read_claim && break
      gw_pause 0.2
    done
  fi
  rm -f -- "$mine" "$mine.link"
  gw_read_claim || return 0
  if [[ $gw_claim_token == "$gw_token" ]]; then
    gw_claimed=first
  elif [[ $gw_claim_id != "$gw_id" ]]; then
    gw_claimed=other
  elif gw_is_over; then
    gw_claimed=over
  else
    gw_claim_again
  fi
}

# Status 0 where an earlier run of the same id has left a record that counts. Only one that the scheduler or the machine
# ended may run again.
gw_is_over() {
  local final=''
  { final=$(<"$gw_control/final.json"); } 2>/dev/null
  [[ -n $final && $final != *'"reason":"terminated"'* && $final != *'"reason":"node_failed"'* ]]
}

# Replaces the claim of an earlier run of the same id by one with a new token, and puts that run's records aside.
gw_claim_again() {
  local next=$gw_control/.claim.$gw_host.$$ folder name number=1
  gw_new_token || return 0
  printf 'scheduler_id=%s\ntoken=%s\n' "$gw_id" "$gw_token" >"$next" || return 0
  mv -fT -- "$next" "$gw_control/claim" || return 0
  while ! mkdir "$gw_control/run-$number" 2>/dev/null; do
    ((number < 1000)) || return 0
    number=$((number + 1))
  done
  folder=$gw_control/run-$number
  for name in status.jsonl final.json payload.out payload.err pull.log script.log sync.jsonl sync.state \
    sync.json sync.need sync.result manifest.json; do
    if [[ -e $gw_control/$name ]]; then mv -f -- "$gw_control/$name" "$folder/"; fi
  done
  gw_read_claim && [[ $gw_claim_token == "$gw_token" ]] && gw_claimed=again
}

# --- the final record

# Keeps space for the final record, of bytes that no file system packs; status 1: there is none.
gw_keep_reserve() {
  head -c 65536 /dev/urandom 2>/dev/null >"$gw_control/reserve"
}

# Publishes FILE.part as FILE, with its bytes on the disk where `sync` can do that for one file.
gw_publish() {
  if [[ -z ${gw_sync_tool-} ]]; then
    gw_sync_tool=no
    [[ $(sync --help 2>&1) != *--data* ]] || gw_sync_tool=yes
  fi
  if [[ $gw_sync_tool == yes ]]; then sync -- "$1.part" 2>/dev/null || :; fi
  mv -fT -- "$1.part" "$1"
}

# Adds NAME and TEXT to gw_record as a JSON member; an empty TEXT is null.
gw_member() {
  gw_json_or_null "$2"
  gw_record+=",\"$1\":$gw_text"
}

# Writes the final record. Arguments: OUTCOME EXIT_CODE REASON MESSAGE (the last three may be empty). It also tells
# gw_claimed_at, gw_payload_started_at, gw_payload_ended_at, gw_runtime, the pulled image, gw_passes, gw_manifest.
gw_final_record() {
  gw_now
  gw_record='{"version":1'
  gw_member job "$gw_job"
  gw_record+=",\"attempt\":$gw_attempt"
  gw_member scheduler_id "$gw_id"
  gw_member token "$gw_token"
  gw_member host "$gw_host"
  gw_member runtime "$gw_runtime"
  gw_member outcome "$1"
  gw_record+=",\"exit_code\":${2:-null}"
  gw_member reason "$3"
  gw_member message "$4"
  gw_member claimed_at "$gw_claimed_at"
  gw_member payload_started_at "$gw_payload_started_at"
  gw_member payload_ended_at "$gw_payload_ended_at"
  gw_member ended_at "$gw_at"
  if [[ -n ${pull_path-} ]]; then
    gw_json "$pull_path"
    gw_record+=",\"image\":{\"path\":$gw_text"
    gw_member digest "${pull_digest-}"
    gw_record+=",\"cached\":${pull_cached:-false}}"
  else
    gw_record+=',"image":null'
  fi
  gw_store_record "$gw_record,\"passes\":[$gw_passes],\"manifest\":$gw_manifest}"
}

# Puts TEXT into final.json, in the space that was kept for it. Status 1: it could not be written.
gw_store_record() {
  local part=$gw_control/final.json.part size tries
  rm -f -- "$gw_control/reserve"
  for tries in 1 2 3 4 5; do
    if printf '%s\n' "$1" >"$part" && size=$(wc -c <"$part") && ((size == ${#1} + 1)) &&
      gw_publish "$gw_control/final.json"; then
      return 0
    fi
    gw_say "final.json could not be written (try $tries)"
    gw_pause 0.$tries
  done
  return 1
}
