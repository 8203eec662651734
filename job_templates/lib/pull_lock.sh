# shellcheck shell=bash
# pull.sh: the lock. It only spares work: what is published is whole with or without it.

# Takes the lock NAME, waiting while another process has it, or until CHECK says that there is nothing to be done any
# more: then pull_needless is set, and there is no lock. Arguments: NAME [CHECK]. Status 1: pull_fail has been called.
pull_lock() {
  local file=$pull_cache/.locks/$1.lock deadline=$((SECONDS + pull_lock_timeout)) status=2
  pull_needless=''
  if [ "$pull_locking" != lease ] && ! pull_locks_here_only; then
    if [ ! -e "$file" ]; then (: >>"$file") 2>/dev/null && pull_share "$file" rw; fi
    # for reading too: over NFS a shared lock needs it
    if ! { exec 9<>"$file" || exec 9<"$file"; } 2>/dev/null; then
      pull_fail cache_not_writable "the image cache $pull_cache cannot be locked: $file cannot be opened"
      return 1
    fi
    status=0
    flock -n 9 2>/dev/null || status=$?
    if ((status == 0)) && ! pull_refuses_others "$file"; then status=2; fi
  fi
  while ((status == 1)); do
    pull_may_wait "$deadline" "$1" || return 1
    # shared, so that a thousand waiters go on at the same moment; one that finds nothing takes its turn alone
    pull_wait_flock -s
    if ((status == 0)) && ! ${2:-false}; then pull_wait_flock -x; fi
    if ${2:-false}; then pull_needless=yes status=0; fi
  done
  if [ -n "$pull_needless" ]; then exec 9>&-; fi
  if ((status == 0)); then return 0; fi
  exec 9>&-
  pull_take_lease "$pull_cache/.locks/$1.lease" "$deadline" "$1" "${2:-false}" # flock does not work on this file system
}

# Waits a second for descriptor 9, in the background, so that a trap of the script runs at once. Sets the caller's
# status: 1 where another process has it. Arguments: -s or -x.
pull_wait_flock() {
  local waiter
  flock "$1" -w 1 9 2>/dev/null &
  waiter=$! status=0
  { wait "$waiter" || status=$?; } 2>/dev/null
  if ((status <= 128)); then return; fi
  # a signal came; the lock may or may not be there
  { kill -KILL "$waiter" && wait "$waiter"; } 2>/dev/null
  status=1
  flock "$1" -n 9 2>/dev/null && status=0
}

# Whether the lock that this process holds on FILE is refused to another one: on some file systems it never is.
pull_refuses_others() {
  local status=0
  flock -n "$1" true 2>/dev/null 9>&- || status=$?
  ((status == 1))
}

# Whether the cache is on a file system that was mounted so that flock holds on one node only.
pull_locks_here_only() {
  local folder point options best='' found='' field
  folder=$(cd -P -- "$pull_cache" 2>/dev/null && printf '%s/' "$PWD") || return 1
  while read -r field point field options field; do
    printf -v point '%b' "$point" # blanks are written \040
    case $folder in "${point%/}/"*) if ((${#point} >= ${#best})); then best=$point found=,$options,; fi ;; esac
  done 2>/dev/null </proc/self/mounts
  case $found in *,localflock,* | *,noflock,* | *,nolock,* | *,local_lock=flock,* | *,local_lock=all,*) return 0 ;; esac
  return 1
}

# Reports that another process is at work. Arguments: DEADLINE KEY. Status 1: no more waiting (pull_fail called).
pull_may_wait() {
  local file
  if pull_stopping; then
    pull_fail interrupted "stopped while waiting for another process's download"
    return 1
  fi
  if pull_gives_up; then
    pull_fail time_limit "another process was still at work on the image after $pull_time_limit seconds"
    return 1
  fi
  if ((SECONDS >= $1)); then
    pull_fail lock_timeout "another process has been holding the image's lock for $pull_lock_timeout seconds"
    return 1
  fi
  pull_got=0
  for file in "$pull_cache/$2".*.part; do if [ -f "$file" ]; then pull_measure "$file"; fi; done
  pull_hook pull_on_wait "$pull_got"
}

# The lock as a folder with an owner and a heartbeat. Arguments: FOLDER DEADLINE KEY CHECK.
pull_take_lease() {
  local lease=$1 token=$pull_host.$BASHPID.$RANDOM$RANDOM seen='' now since=$SECONDS owner self=$BASHPID
  until mkdir -- "$lease" 2>/dev/null; do
    if [ ! -d "$lease" ] && [ ! -w "${lease%/*}" ]; then
      pull_fail cache_not_writable "the image cache $pull_cache cannot be locked: $lease cannot be made"
      return 1
    fi
    owner='' now=$(stat -c '%i %Y' -- "$lease" "$lease/owner" 2>/dev/null)
    { read -r owner <"$lease/owner"; } 2>/dev/null
    if [ "$seen" != "$now" ]; then seen=$now since=$SECONDS; fi
    # silence is measured by this node's own clock; a dead process of this node needs no waiting
    if ((SECONDS - since >= pull_lease_timeout)) || pull_lease_dead "$owner"; then
      if mv -T -- "$lease" "$lease.$token" 2>/dev/null; then pull_remove "$lease.$token"; fi
      continue
    fi
    pull_may_wait "$2" "$3" && pull_pause 10
    if [ -n "$pull_reason" ]; then return 1; fi
    if $4; then
      pull_needless=yes
      return 0
    fi
  done
  pull_lease=$lease pull_token=$token
  printf '%s\n' "$token" >"$lease/owner"
  pull_heartbeat "$self" "$lease/owner" </dev/null >/dev/null 2>&1 &
  pull_beat=$!
}

# Whether the OWNER of a lease is a process of this node that has ended.
pull_lease_dead() {
  local process=${1%.*}
  [ "${process%.*}" = "$pull_host" ] && [ "$process" != "$1" ] && ! pull_process "${process##*.}"
}

# Touches FILE every five seconds while PARENT lives. Arguments: PARENT FILE.
pull_heartbeat() {
  local turn
  while touch -c -- "$2"; do
    for ((turn = 0; turn < 5; turn++)); do
      sleep 1
      if ! pull_process "$BASHPID" || [ "$pull_parent" != "$1" ]; then return; fi
    done
  done
}

# Gives the lock back.
pull_unlock() {
  local owner=''
  { exec 9>&-; } 2>/dev/null
  if [ -z "$pull_lease" ]; then return 0; fi
  { kill -KILL "$pull_beat" && wait "$pull_beat"; } 2>/dev/null
  { read -r owner <"$pull_lease/owner"; } 2>/dev/null
  if [ "$owner" = "$pull_token" ]; then pull_remove "$pull_lease"; fi
  pull_lease=''
}
