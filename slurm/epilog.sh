#!/bin/sh
# Rendered at each start from slurm/epilog.sh. Run by slurmd, as root, after every job however it ended. The next job waits for it:
# each process that it starts counts.
group=
user=$SLURM_JOB_USER
case $SLURM_JOB_WORK_DIR in
  {{results_dir}}/*)
    # A job for the first place free runs here as another than Slurm knows of. The API alone can change the folder's group.
    [ "$user" != jr-remote ] || user=$(stat -c %G -- "$SLURM_JOB_WORK_DIR")
    case $user in
      runner | jr-owner) user=runner group=jr-owner ;;
      jr-job[1-9]*) group=$user ;;
    esac
    ;;
esac
# Asked as the job's user: root in a container without CAP_SYS_PTRACE may read no other user's environment.
as_user() { setpriv "--reuid=$user" "--regid=$group" --init-groups "$@"; }
# A job may have closed its files with a strict umask: open them to the group again, so that they can be downloaded and removed.
# The job's own user does it, so that a link a job leaves behind can lead to nothing that user could not change anyway.
open_to_group() {
  timeout 300 setpriv "--reuid=$user" "--regid=$group" --init-groups chmod -R u+rwX,g+rwX -- "$SLURM_JOB_WORK_DIR" 2>/dev/null
}
job=$SLURM_JOB_ID
# What is started here is not to be taken for something that the job left behind.
unset SLURM_JOB_ID
if [ -n "$group" ]; then
  open_to_group &
  left_behind=no
  # Without cgroups, Slurm loses sight of a process whose parent has ended. None may go on, holding memory or a GPU.
  for environment in $(as_user grep -lzsx "SLURM_JOB_ID=$job" /proc/[0-9]*/environ); do
    process=${environment%/environ}
    [ "$(stat -c %U "$process" 2>/dev/null)" = "$user" ] &&
      as_user grep -qzsx 'SLURM_CONF={{slurm_conf}}' "$environment" &&
      left_behind=yes &&
      kill -KILL "${process#/proc/}" 2>/dev/null
  done
  wait
  # Once more, now that nobody is left to close them again or to add to them without end.
  [ $left_behind = yes ] && open_to_group
  # screen, once killed, leaves its socket, and would be listed as a dead session. Its name ends with our number of the job.
  for socket in {{screen_dir}}/"$user"/*.gpujob_*_"${SLURM_JOB_WORK_DIR##*/}"; do
    [ -S "$socket" ] && as_user rm -f -- "$socket"
  done
fi
# The API watches this file and asks for the job's state at once.
: >{{job_ended_file}}
exit 0
