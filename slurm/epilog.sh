#!/bin/sh
# Rendered at each start from slurm/epilog.sh. Run by slurmd, as root, after every job however it ended. The next job waits for it:
# each process that it starts counts.
# Asked as the jobs' user: root in a container without CAP_SYS_PTRACE may read no other user's environment.
as_runner() { setpriv --reuid=runner --regid=runner --clear-groups "$@"; }
# A job may have closed its files with a strict umask: open them to the group again, so that they can be downloaded and removed.
# The job's own user does it, so that a link a job leaves behind can lead to nothing that user could not change anyway.
open_to_group() {
  timeout 300 setpriv --reuid=runner --regid=runner --clear-groups chmod -R u+rwX,g+rwX -- "$SLURM_JOB_WORK_DIR" 2>/dev/null
}
job=$SLURM_JOB_ID
# What is started here is not to be taken for something that the job left behind.
unset SLURM_JOB_ID
case $SLURM_JOB_WORK_DIR in
  {{results_dir}}/*)
    ours=yes
    open_to_group &
    ;;
  *) ours=no ;;
esac
left_behind=no
# Without cgroups, Slurm loses sight of a process whose parent has ended. None may go on, holding memory or a GPU.
for environment in $(as_runner grep -lzsx "SLURM_JOB_ID=$job" /proc/[0-9]*/environ); do
  process=${environment%/environ}
  [ "$(stat -c %U "$process" 2>/dev/null)" = runner ] &&
    as_runner grep -qzsx 'SLURM_CONF={{slurm_conf}}' "$environment" &&
    left_behind=yes &&
    kill -KILL "${process#/proc/}" 2>/dev/null
done
wait
# Once more, now that nobody is left to close them again or to add to them without end.
[ $ours = yes ] && [ $left_behind = yes ] && open_to_group
# screen, once killed, leaves its socket, and would be listed as a dead session. Its name ends with our number of the job.
if [ $ours = yes ]; then
  for socket in {{screen_dir}}/*.gpujob_*_"${SLURM_JOB_WORK_DIR##*/}"; do
    [ -S "$socket" ] && as_runner rm -f -- "$socket"
  done
fi
# The API watches this file and asks for the job's state at once.
: >{{job_ended_file}}
exit 0
