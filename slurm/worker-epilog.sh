#!/bin/sh
# Rendered at each start of a worker from slurm/worker-epilog.sh. slurmd runs it as root after each
# job, after epilog.sh. When it ends, the controller has the job's whole log; the outputs follow.
{{epilog}}
case $SLURM_JOB_WORK_DIR in
  {{results_dir}}/*) ;;
  *) exit 0 ;;
esac
cd / && env -i PATH=/usr/bin:/bin LANG=C.UTF-8 NODE_ENV=production JR_ROOT={{root}} \
  setpriv --reuid=jobrunner --regid=jobrunner --init-groups {{node}} {{main}} worker-job end "${SLURM_JOB_WORK_DIR##*/}" "$SLURM_JOB_ID" "$SLURM_JOB_USER"
exit 0
