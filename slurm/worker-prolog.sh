#!/bin/sh
# Rendered at each start of a worker from slurm/worker-prolog.sh. slurmd runs it as root before a
# job's script; it fetches the job's files. It never fails, since that would drain the worker: an
# error ends only the job, see node.sh.
case $SLURM_JOB_WORK_DIR in
  {{results_dir}}/*) ;;
  *) exit 0 ;;
esac
cd / && env -i PATH=/usr/bin:/bin LANG=C.UTF-8 NODE_ENV=production JR_ROOT={{root}} \
  setpriv --reuid=jobrunner --regid=jobrunner --init-groups {{node}} {{main}} worker-job begin "${SLURM_JOB_WORK_DIR##*/}" "$SLURM_JOB_ID" "$SLURM_JOB_USER"
exit 0
