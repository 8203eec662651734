#!/bin/bash
% for line in directives:
${line | n}
% endfor
gw_locale="$LC_ALL" LC_ALL=C GW_INLINED=yes
gw_job=${job_id}
gw_attempt=${attempt}
gw_folder=${job_folder}
gw_control=${control_folder}
gw_scheduler=${scheduler_kind}
gw_preamble=${preamble}
gw_walltime=${walltime}
gw_reserve=${reserve}
gw_kill_delay=${kill_delay}
gw_grace=${grace}
gw_runtimes=(${words(runtimes) | n})
gw_image_cache=${image_cache}
gw_image_ref=${image_ref}
gw_image_digest=${image_digest}
gw_image_mirrors=(${words(image_mirrors) | n})
% for name, value in pull.items():
pull_${name | n}=${value}
% endfor
gw_command=(${words(command) | n})
gw_progress_file=${progress_file}
gw_progress_pattern=${progress_pattern}
gw_progress_command=(${words(progress_command) | n})
gw_save_command=(${words(save_command) | n})
gw_env_names=(${words(env) | n})
gw_env_values=(${words(env.values()) | n})
gw_binds=(${words(binds) | n})
gw_bind_roots=(${words(bind_roots) | n})
gw_asked_binds=(${words(asked_binds) | n})
gw_network=${"yes" if network else ""}
gw_tool_titles=(${words(t.title for t in tools) | n})
gw_tool_refs=(${words(t.image.ref for t in tools) | n})
gw_tool_digests=(${words(t.image.digest for t in tools) | n})
gw_tool_mirrors=(${words("\n".join(t.image.mirrors) for t in tools) | n})
gw_tool_commands=(${words("\n".join(t.commands) for t in tools) | n})
gw_tool_runtimes=(${words(tool_runtimes) | n})
gw_gpus=${gpus}
gw_launcher=${launcher}
gw_nodes=${nodes}
gw_tasks_per_node=${tasks_per_node}
gw_scratch=${scratch}
gw_rclone=${rclone}
gw_stores=(${words(stores) | n})
gw_transfer_store=(${words(t.store for t in transfers) | n})
gw_transfer_source=(${words(t.source for t in transfers) | n})
gw_transfer_destination=(${words(t.destination for t in transfers) | n})
gw_transfer_type=(${words(t.content_type for t in transfers) | n})
gw_transfer_args=(${words("\n".join(t.arguments) for t in transfers) | n})
gw_transfer_follow=(${words("yes" if t.follow else "" for t in transfers) | n})
gw_sync_interval=${sync_interval}
gw_sync_settle=${sync_settle}
% if library is None:
${libraries | n}
% else:
gw_libraries=${library.path}
gw_libraries_digest=${library.digest}
${loader | n}
gw_load "$@"
% endif
gw_main "$@"; exit
