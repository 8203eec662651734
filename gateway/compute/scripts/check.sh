# shellcheck shell=bash
# Looks at a target for `gateway target check` and `gateway target add`. Inlined; functions print "key value" lines.

# gw_check_folder FOLDER: make a folder and say whether it can be written to, how much is free, and whether programs run.
gw_check_folder() {
  local folder=$1 said file free
  if ! said=$(mkdir -p -- "$folder" 2>&1); then
    printf 'made %s\n' "${said//$'\n'/ }"
    return
  fi
  file="$folder/.gateway-check.$$"
  if ! said=$({ printf '#!/bin/sh\nexit 0\n' >"$file"; } 2>&1); then
    printf 'written %s\n' "${said##*: }"
    return
  fi
  free=$(df -Pk -- "$folder" 2>/dev/null | awk 'NR == 2 { print $4 }')
  printf 'free %s\n' "${free:-unknown}"
  chmod 0700 -- "$file"
  if "$file" 2>/dev/null; then printf 'exec yes\n'; else printf 'exec no\n'; fi
  rm -f -- "$file"
}

# gw_check_nodes: print the architectures that the scheduler's nodes have, as far as it can say.
gw_check_nodes() {
  if command -v scontrol >/dev/null; then
    scontrol -o show node 2>/dev/null | grep -o ' Arch=[A-Za-z0-9_]*' | sort -u | sed 's/ Arch=/arch /'
  elif command -v pbsnodes >/dev/null; then
    pbsnodes -a 2>/dev/null | grep -oE '\b(x86_64|aarch64|ppc64le|riscv64)\b' | sort -u | sed 's/^/arch /'
  fi
  printf 'login %s\n' "$(uname -m)"
}

# gw_check_site: print what `target add` needs to know: schedulers, runtimes, where there is room.
gw_check_site() {
  local word found shell folder
  for word in sbatch qsub; do
    if found=$(command -v "$word"); then
      printf 'scheduler %s here\n' "$word"
    else
      # Many sites put it on PATH in the login shell's files only.
      shell=$(bash -lc "printf '@%s\n' \"\$(command -v $word)\"" </dev/null 2>/dev/null | grep '^@/' | tail -n 1)
      [ -z "$shell" ] || printf 'scheduler %s %s\n' "$word" "${shell#@}"
    fi
  done
  if found=$(command -v qsub) && head -c 4096 "$found" | tr -d '\0' | grep -qi slurm; then printf 'wrapped\n'; fi
  for word in apptainer singularity ch-run podman docker; do
    if command -v "$word" >/dev/null; then printf 'runtime %s\n' "$word"; fi
  done
  for folder in "${SCRATCH-}" "/scratch/${USER:-$(id -un)}" "${WORK-}"; do
    if [ -n "$folder" ] && [ -d "$folder" ] && [ -w "$folder" ]; then printf 'room %s\n' "$folder"; fi
  done
}
