# shellcheck shell=bash disable=SC2154 # the arrays are assigned by the caller
# Publishes the files of many attempts out of one tar stream. Inlined into a remote command; bash 4.2, GNU tar.
#
# Each attempt prints one line "<index> <word> [what was said]"; an attempt that fails does not end the others.

# gw_stage_say INDEX WORD [TEXT]: report the outcome of an attempt on one line.
gw_stage_say() { printf '%s %s %s\n' "$1" "$2" "${3//$'\n'/ }"; }

# gw_stage_overlay FROM TO: lay inputs over a job's folder that is there already, deleting nothing else. What an earlier
# attempt's payload left is not trusted: links are replaced, never followed.
gw_stage_overlay() {
  local from=$1 to=$2 path
  if [ -L "$to" ] || [ ! -d "$to" ]; then
    printf '%s is not a folder\n' "$to"
    return 1
  fi
  while IFS= read -r -d '' path; do
    if [ -L "$to/$path" ]; then rm -f -- "$to/$path" || return 1; fi
    if [ ! -d "$to/$path" ]; then
      if [ -e "$to/$path" ]; then rm -f -- "$to/$path" || return 1; fi
      mkdir -- "$to/$path" || return 1
    fi
  done < <(cd "$from" && find . -mindepth 1 -type d -printf '%P\0')
  while IFS= read -r -d '' path; do
    mv -f -T -- "$from/$path" "$to/$path" || return 1
  done < <(cd "$from" && find . -mindepth 1 ! -type d -printf '%P\0')
}

# gw_stage_control NEW FINAL: publish a control folder, unless the one that is there has been claimed (status 9). What
# the submission knows of an unclaimed one is kept.
gw_stage_control() {
  local new=$1 final=$2 old
  if [ ! -e "$final" ] && [ ! -L "$final" ]; then
    mv -T -- "$new" "$final" && return 0
  fi
  [ ! -e "$final/claim" ] || return 9
  if [ -s "$final/scheduler_id" ]; then cp -p -- "$final/scheduler_id" "$new/scheduler_id" || return 1; fi
  # First out of the way, then looked at again: a claim that was made in between goes back with its folder.
  old="$new.old"
  mv -T -- "$final" "$old" || return 1
  if [ -e "$old/claim" ]; then
    mv -T -- "$old" "$final" || return 1
    return 9
  fi
  mv -T -- "$new" "$final"
}

# gw_stage_below PATH: tell whether a path without links is below one of gw_stage_roots, their own links resolved.
gw_stage_below() {
  local root
  for root in "${gw_stage_roots[@]}"; do
    root=$(realpath -e -- "$root" 2>/dev/null) || continue
    [[ $1 == "$root" || $1 == "${root%/}"/* ]] && return 0
  done
  return 1
}

# gw_stage_copy INDEX FOLDER: copy what attempt INDEX takes from this target into FOLDER. Links inside are copied as links:
# nothing outside the folders of gw_stage_roots is ever read.
gw_stage_copy() {
  local number from to
  [ "${#gw_stage_copy_index[@]}" != 0 ] || return 0
  for number in "${!gw_stage_copy_index[@]}"; do
    [ "${gw_stage_copy_index[number]}" = "$1" ] || continue
    to="$2/${gw_stage_copy_path[number]}"
    from=$(realpath -e -- "${gw_stage_copy_source[number]}") || return 1
    if ! gw_stage_below "$from"; then
      printf '%s: leads out of the folders that inputs may come from\n' "${gw_stage_copy_source[number]}"
      return 1
    fi
    if [ ! -f "$from" ] && [ ! -d "$from" ]; then
      printf '%s: is neither a file nor a folder\n' "${gw_stage_copy_source[number]}"
      return 1
    fi
    case $to in */*) mkdir -p -- "${to%/*}" || return 1 ;; esac
    timeout "$gw_stage_copy_seconds" \
      cp -R -P -T --preserve=timestamps --reflink=auto -- "$from" "$to" </dev/null || {
      [ $? != 124 ] || printf '%s: copying took too long\n' "${gw_stage_copy_source[number]}"
      return 1
    }
    chmod -R "${gw_stage_copy_mode[number]}" -- "$to" || return 1
  done
}

# gw_stage_publish NEW_JOB JOB_FOLDER CONTROL_FOLDER NEW_CONTROL: publish one attempt; status 9: it has been claimed. The
# job's folder may be there already, by gw_stage_together.
gw_stage_publish() {
  [ ! -e "$3/claim" ] || return 9
  mkdir -p -- "${3%/*}" || return 1
  if [ -d "$1" ]; then
    if [ -e "$2" ] || [ -L "$2" ] || ! mv -T -- "$1" "$2"; then gw_stage_overlay "$1" "$2" || return 1; fi
  fi
  gw_stage_control "$4" "$3"
}

# gw_stage_together FOLDER WORKDIR ROOT: publish all attempts of whose jobs nothing is there yet, in two commands for all:
# first the jobs' folders, then the control folders of those that arrived. What is left is published one by one. Below
# FOLDER they have their final names. `mv -n` replaces nothing, and never moves into a folder that is there.
gw_stage_together() {
  local index name
  local -a jobs=() controls=()
  for index in "${!gw_stage_names[@]}"; do
    name=${gw_stage_names[index]}
    if [ "$2/$name" != "${gw_stage_jobs[index]}" ] || [ -n "${gw_stage_copied[index]-}" ]; then continue; fi
    if [ -e "$2/$name" ] || [ -L "$2/$name" ] || [ -e "$3/$name" ] || [ -L "$3/$name" ]; then continue; fi
    jobs+=("$name")
  done
  [ "${#jobs[@]}" != 0 ] || return 0
  (cd "$1/job" && exec mv -n -t "$2" -- "${jobs[@]}") 2>/dev/null
  for name in "${jobs[@]}"; do
    if [ ! -d "$1/job/$name" ] && [ -d "$2/$name" ]; then controls+=("$name"); fi
  done
  [ "${#controls[@]}" = 0 ] || (cd "$1/control" && exec mv -n -t "$3" -- "${controls[@]}") 2>/dev/null
  return 0
}

# gw_stage_check FOLDER INDEX: tell whether an attempt arrived whole.
gw_stage_check() {
  local bytes count=0 sum=0
  while read -r bytes; do count=$((count + 1)) sum=$((sum + bytes)); done \
    < <(find "$1/job/${gw_stage_names[$2]}" "$1/control/${gw_stage_names[$2]}" -type f -printf '%s\n' 2>/dev/null)
  [ "$count $sum" = "${gw_stage_files[$2]} ${gw_stage_bytes[$2]}" ]
}

# gw_stage ROOT NONCE WORKDIR: unpack standard input below ROOT and publish all gw_stage_jobs, gw_stage_controls. In the
# stream each has its name of gw_stage_names, below `job` and below `control`, there with the number of the attempt. The
# arrays gw_stage_files and gw_stage_bytes say how much each attempt must have brought; gw_stage_copy_* say what is copied
# here.
gw_stage() {
  local root=$1 folder="$1/.staging-$2" index name new mask status whole=0 said
  local -a gw_stage_copied=()
  mask=$(umask)
  umask 077
  mkdir -p -- "$root" && mkdir -- "$folder" || return 1
  # shellcheck disable=SC2064 # the folder is known now
  trap "rm -rf -- $(printf '%q' "$folder")" EXIT
  # What a broken connection left; nothing takes a day.
  find "$root" -mindepth 1 -maxdepth 1 -type d -name '.staging-*' -mmin +1440 -exec rm -rf -- {} + 2>/dev/null
  umask "$mask"
  tar -x -f - -C "$folder" --no-same-owner --no-same-permissions --no-overwrite-dir || whole=1
  for index in ${gw_stage_copy_index[@]+"${gw_stage_copy_index[@]}"}; do gw_stage_copied[index]=yes; done
  [ "$whole" != 0 ] || gw_stage_together "$folder" "$3" "$root"
  for index in "${!gw_stage_jobs[@]}"; do
    name=${gw_stage_names[index]}
    new="$folder/control/$name/${gw_stage_controls[index]##*/}"
    if [ "$whole" = 0 ] && [ ! -d "$new" ] && [ -d "${gw_stage_controls[index]}" ]; then
      gw_stage_say "$index" staged ''
      continue
    fi
    if [ "$whole" != 0 ] && ! gw_stage_check "$folder" "$index"; then
      gw_stage_say "$index" torn ''
      continue
    fi
    status=0
    if [ ! -e "${gw_stage_controls[index]}/claim" ]; then
      gw_stage_copy "$index" "$folder/job/$name" >"$folder/said" 2>&1 || status=1
    fi
    [ "$status" != 0 ] || gw_stage_publish "$folder/job/$name" "${gw_stage_jobs[index]}" "${gw_stage_controls[index]}" \
      "$new" >"$folder/said" 2>&1 || status=$?
    case $status in
      0) gw_stage_say "$index" staged '' ;;
      9) gw_stage_say "$index" already_claimed '' ;;
      *)
        IFS= read -r -d '' -n 1000 said <"$folder/said"
        gw_stage_say "$index" failed "$said"
        ;;
    esac
  done
}
