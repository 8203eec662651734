# shellcheck shell=bash
# Removes the folders of jobs that are over. Inlined into a remote command; bash 4.2, GNU coreutils.
#
# Each job prints one line "<job> removed|refused [why]"; a job that cannot be removed does not keep the others. What is
# removed is entered by its own name from the folder above it, and no symbolic link below that is followed.

# gw_clean_at FOLDER NAME: go to the folder that holds NAME; status 1 where it is not there, 2 where NAME is something else
# than a folder of its own.
gw_clean_at() {
  cd -P -- "$1" 2>/dev/null || return 1
  if [ -L "./$2" ]; then return 2; fi
  if [ ! -e "./$2" ]; then return 1; fi
  [ -d "./$2" ] || return 2
}

# gw_clean_tree NAME: remove a folder of the working folder with all that is in it, and stay on its file system. Payloads
# leave folders that even their owner may not write.
gw_clean_tree() {
  rm -rf --one-file-system -- "./$1" 2>/dev/null && return 0
  chmod -R u+rwX -- "./$1" 2>/dev/null
  rm -rf --one-file-system -- "./$1" 2>&1 | head -n 1
  [ ! -e "./$1" ]
}

# gw_clean_recorded: tell whether the working folder is a job's control folder: some attempt was staged here.
gw_clean_recorded() {
  local script
  for script in ./[0-9]*/job.sh; do
    if [ -f "$script" ] && [ ! -L "$script" ] && [ ! -L "${script%/job.sh}" ]; then return 0; fi
  done
  return 1
}

# gw_clean_gone ROOT: remove what an earlier command began to remove of control folders.
gw_clean_gone() {
  (gw_clean_at "$1" .gone && gw_clean_tree .gone) >/dev/null
}

# gw_clean JOB FOLDER ROOT: remove FOLDER/JOB, then ROOT/JOB, the control folder. Without a control folder of its own
# nothing is removed: whose the other one is, nobody knows. The control folder leaves its place in one step, and last.
gw_clean() {
  local said
  gw_clean_at "$3" "$1"
  case $? in
    1)
      (gw_clean_at "$2" "$1")
      if [ $? = 1 ]; then printf '%s removed\n' "$1"; else printf '%s refused it has no control folder\n' "$1"; fi
      return
      ;;
    2) printf '%s refused its control folder is something else\n' "$1" && return ;;
  esac
  if ! (cd -P -- "./$1" && gw_clean_recorded); then
    printf '%s refused its control folder holds no record\n' "$1"
    return
  fi
  said=$(
    gw_clean_at "$2" "$1"
    case $? in
      0) gw_clean_tree "$1" ;;
      2) printf 'a link or a file stands in its place\n' && exit 1 ;;
    esac
  ) || {
    printf '%s refused %s\n' "$1" "$said"
    return
  }
  if (umask 077 && mkdir -p ./.gone) && [ ! -L ./.gone ] && mv -T -- "./$1" "./.gone/$1"; then
    said=$(gw_clean_tree .gone)
    printf '%s removed\n' "$1"
  else
    printf '%s refused its control folder cannot be moved\n' "$1"
  fi
}
