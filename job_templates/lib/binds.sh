# shellcheck shell=bash
# Folders of the node that a container sees, read-only: the admin's own, and what the job asks for below the admin's
# roots. A link must not lead out of the roots, and only the node knows where it leads.

# Fills gw_bind_sources, where the folders of gw_binds really are, and adds those of gw_asked_binds to both. Status 1, and
# gw_problem: one is not there, or lies elsewhere.
gw_check_binds() {
  local bind source root inside roots=()
  gw_bind_sources=(${gw_binds[@]+"${gw_binds[@]}"})
  for root in ${gw_bind_roots[@]+"${gw_bind_roots[@]}"}; do
    source=$(cd -P -- "$root" 2>/dev/null && pwd -P) && roots+=("${source%/}")
  done
  for bind in ${gw_asked_binds[@]+"${gw_asked_binds[@]}"}; do
    if ! source=$(cd -P -- "$bind" 2>/dev/null && pwd -P); then
      gw_problem="the folder $bind, which the job asks for, cannot be entered on ${HOSTNAME:-this node}"
      return 1
    fi
    inside=''
    for root in ${roots[@]+"${roots[@]}"}; do
      case $source/ in "$root"/*) inside=yes ;; esac
    done
    case $source in *:* | *,*) inside='' ;; esac
    if [[ -z $inside ]]; then
      gw_problem="the folder $bind, which the job asks for, leads to $source, which no job may see on ${HOSTNAME:-this node}"
      return 1
    fi
    gw_binds+=("$bind") gw_bind_sources+=("$source")
  done
}
