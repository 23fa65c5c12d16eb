#!/bin/bash -p
# The API's user runs this as jr-remote, by sudo, to hand Slurm a job for an SSH host. The job is one of ours alone: the script that root
# rendered, which runs `jobrunner remote-run JOB_ID`. Nothing that the caller says is ever run here as jr-remote.
# Usage: SLURM_CONF=… submit-remote JOB_ID --option=value …
set -eu
. "${BASH_SOURCE[0]%/*}/trusted-conf"

job_id=${1:-}
[[ $job_id =~ ^[1-9][0-9]{0,14}$ ]] || refuse 'expected the number of a job'
shift
[ -z "$(find "$etc/remote-job.sh" -maxdepth 0 \( ! -user root -o -perm /022 \))" ] || refuse "$etc/remote-job.sh is not root’s alone"

for option; do
  # Not by the pattern: bash takes seconds for one that counts to thousands.
  [ ${#option} -le 8192 ] || refuse 'an option is longer than 8 KiB'
  case $option in
    --job-name=*) continue ;;
  esac
  [[ $option =~ ^--(comment=jobrunner:[0-9a-f]+|account=[a-z0-9._-]+|cpus-per-task=[0-9]+|mem=[0-9]+M|gres=[a-z0-9_:,]+|nice=[0-9]+|time=(UNLIMITED|[0-9:-]+)|constraint=[a-z0-9|]+)$ ]] ||
    refuse "not one of the options of a job on an SSH host: $option"
done

cd /
# A clean environment, so that Slurm need not look for the user's own.
exec env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 "SLURM_CONF=$conf" /usr/bin/sbatch --parsable --export=ALL --nodes=1 --ntasks=1 \
  --partition=ssh "--chdir=$root/results/$job_id" "--output=$root/logs/jobs/$job_id/stdout.log" --open-mode=append \
  "$@" "$etc/remote-job.sh" "$job_id"
