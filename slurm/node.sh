#!/bin/bash
# Rendered at each start of a worker from slurm/node.sh. Each job's script sources it on that
# worker: it ends a job that the prolog could not prepare, and gives libexec/job-script/gpus.sh the
# worker's own GPUs.
if [ -r {{problems}}/"$SLURM_JOB_ID" ]; then
  printf 'jobrunner: %s\n' "$(<{{problems}}/"$SLURM_JOB_ID")" >&2
  exit 2
fi
{{gpus}}
