#!/bin/bash -p
# The API's user runs this as jr-remote, by sudo, to hand Slurm a job for an SSH host. The job is one of ours alone: the script that root
# rendered, which runs `jobrunner remote-run JOB_ID`. Nothing that the caller says is ever run here as jr-remote.
# A job for the first place free may start on this machine, too: then that script has the one on standard input run as USER.
# Usage: SLURM_CONF=… submit-remote USER JOB_ID --option=value … [<SCRIPT]
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
  # Not by the pattern: bash takes seconds for one that counts to thousands.
  [ ${#option} -le 8192 ] || refuse 'an option is longer than 8 KiB'
  case $option in
    --job-name=* | "--error=$root/logs/jobs/$job_id/stderr.log") continue ;;
    --partition=ssh | --partition=main,ssh | --partition=main) partitions=${option#*=} && continue ;;
  esac
  [[ $option =~ ^--($job_options)$ ]] ||
    refuse "not one of the options of a job on an SSH host: $option"
done

cd /
# A clean environment, so that Slurm need not look for the user's own. Of several options of one name the last counts.
sbatch=(env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 "SLURM_CONF=$conf" /usr/bin/sbatch --parsable --export=ALL --nodes=1 --ntasks=1
  "--chdir=$root/results/$job_id" "--output=$root/logs/jobs/$job_id/stdout.log" --open-mode=append "$@" "--partition=$partitions")
[ "$partitions" != ssh ] || exec "${sbatch[@]}" "$etc/remote-job.sh" "$job_id"
# The caller's script goes along as text of 64 letters, in which no line can end what it stands in.
exec "${sbatch[@]}" < <(printf '#!/bin/bash\njr_job=%s jr_user=%s\n' "$job_id" "$user" && cat "$etc/any-job.sh" && base64 && echo JR_SCRIPT)
