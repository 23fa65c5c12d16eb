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
[ -z "$group" ] ||
  /usr/bin/perl {{after_job}} "$user" "$group" "$SLURM_JOB_WORK_DIR" "$SLURM_JOB_ID" '{{slurm_conf}}' '{{screen_dir}}'
# The API watches this file and asks for the job's state at once.
: >{{job_ended_file}}
exit 0
