#!/bin/sh
# Rendered at each start from slurm/epilog.sh. Run by slurmd, as root, after every job however it ended.
# Asked as the jobs' user: root in a container without CAP_SYS_PTRACE may read no other user's environment.
as_runner() { setpriv --reuid=runner --regid=runner --clear-groups "$@"; }
# Without cgroups, Slurm loses sight of a process whose parent has ended. None may go on, holding memory or a GPU.
for environment in $(as_runner grep -lzsx "SLURM_JOB_ID=$SLURM_JOB_ID" /proc/[0-9]*/environ); do
  process=${environment%/environ}
  [ "$(stat -c %U "$process" 2>/dev/null)" = runner ] &&
    as_runner grep -qzsx 'SLURM_CONF={{slurm_conf}}' "$environment" &&
    kill -KILL "${process#/proc/}" 2>/dev/null
done
# A job may have closed its files with a strict umask: open them to the group again, so that they can be
# downloaded and removed. Only now, when nobody is left to close them once more or to add to them without end.
# The job's own user does it, so that a link a job leaves behind can lead to nothing that user could not change anyway.
case $SLURM_JOB_WORK_DIR in
  {{results_dir}}/*) timeout 300 setpriv --reuid=runner --regid=runner --clear-groups chmod -R u+rwX,g+rwX -- "$SLURM_JOB_WORK_DIR" 2>/dev/null ;;
esac
# screen, once killed, leaves its socket, and would be listed as a dead session. Its name ends with our number of the job.
# Looked for by the shell: the next job waits for each process that is started here.
case $SLURM_JOB_WORK_DIR in
  {{results_dir}}/*)
    for socket in {{screen_dir}}/*.gpujob_*_"${SLURM_JOB_WORK_DIR##*/}"; do
      [ -S "$socket" ] && as_runner rm -f -- "$socket"
    done
    ;;
esac
# The API watches this file and asks for the job's state at once.
: >{{job_ended_file}}
exit 0
