#!/bin/bash -p
# The API's user runs this by sudo as jr-remote to submit a job for an SSH host. The job's script is
# always the one that root rendered, which runs `jobrunner remote-run JOB_ID`; jr-remote runs
# nothing else here. A job with partition=any may also start on this machine. There, root's script
# runs the script on standard input as USER. Usage: SLURM_CONF=… submit-remote USER JOB_ID
# --option=value … [<SCRIPT]
set -eu
# shellcheck source=trusted-conf.sh
. "${BASH_SOURCE[0]%/*}/trusted-conf"

user=${1:-}
[[ $user =~ ^(runner|jr-job[1-9][0-9]{0,2})$ ]] || refuse "not a user that jobs run as: $user"
job_id=${2:-}
[[ $job_id =~ ^[1-9][0-9]{0,14}$ ]] || refuse 'expected the number of a job'
shift 2
[ -z "$(find "$etc/remote-job.sh" "$etc/any-job.sh" "$etc/own-log.sh" -maxdepth 0 \( ! -user root -o -perm /022 \))" ] || refuse "$etc: not root’s alone"
partitions=ssh

for option; do
  # The pattern does not check this: bash takes seconds for one that counts to thousands.
  [ ${#option} -le 8192 ] || refuse 'an option is longer than 8 KiB'
  case $option in
    --job-name=* | "--error=$root/logs/jobs/$job_id/stderr.log") continue ;;
    --partition=ssh | --partition=main,ssh | --partition=main) partitions=${option#*=} && continue ;;
  esac
  [[ $option =~ ^--($job_options)$ ]] ||
    refuse "not one of the options of a job on an SSH host: $option"
done

cd /
# In a clean environment, Slurm does not load the user's own. Of several options of one name, the
# last counts.
sbatch=(env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 "SLURM_CONF=$conf" /usr/bin/sbatch --parsable --export=ALL --nodes=1 --ntasks=1
  "--chdir=$root/results/$job_id" "--output=$root/logs/jobs/$job_id/stdout.log" --open-mode=append "$@" "--partition=$partitions")
[ "$partitions" != ssh ] || exec "${sbatch[@]}" "$etc/remote-job.sh" "$job_id"
# The caller's script goes along in base64, in which no line can end the here-document.
exec "${sbatch[@]}" < <(printf '#!/bin/bash\njr_job=%s jr_user=%s\n' "$job_id" "$user" && cat "$etc/any-job.sh" && base64 && echo JR_SCRIPT)
