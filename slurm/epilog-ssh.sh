#!/bin/sh
# Rendered at each start from slurm/epilog-ssh.sh. Run by the slurmd of an SSH host, as root on this machine, after each of its jobs.
# What came back from the host may be closed to the group: open it, so that it can be downloaded and removed.
case $SLURM_JOB_WORK_DIR in
  {{results_dir}}/*) timeout 300 setpriv --reuid=jr-remote --regid=jr-remote --clear-groups chmod -R u+rwX,g+rwX -- "$SLURM_JOB_WORK_DIR" 2>/dev/null ;;
esac
# The API watches this file and asks for the job's state at once.
: >{{job_ended_file}}
exit 0
