#!/bin/sh
# Rendered at each start from slurm/epilog.sh. slurmd runs it as root after every job, however the
# job ended. The next job waits for it, so each process that it starts counts.
group=
user=$SLURM_JOB_USER
case $SLURM_JOB_WORK_DIR in
  {{results_dir}}/*)
    # A job for the first free target runs here as another user than Slurm knows. Only the API can
    # change the folder's group.
    [ "$user" != jr-remote ] || user=$(stat -c %G -- "$SLURM_JOB_WORK_DIR")
    case $user in
      runner | jr-owner) user=runner group=jr-owner ;;
      jr-job[1-9]*) group=$user ;;
    esac
    ;;
esac
[ -z "$group" ] ||
  /usr/bin/perl {{after_job}} "$user" "$group" "$SLURM_JOB_WORK_DIR" "$SLURM_JOB_ID" '{{slurm_conf}}' '{{screen_dir}}'
# The API watches this file and polls the job's state at once.
: >{{job_ended_file}}
exit 0
