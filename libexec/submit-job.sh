#!/bin/bash -p
# The API's user runs this by sudo as root to submit a job. The job's script is on standard input.
# The user must be one that jobs run as, and no option can change that or have root read or run
# anything. Jobs themselves cannot submit: munge's socket is closed to them. Usage: SLURM_CONF=…
# submit-job USER --option=value … <SCRIPT
set -eu
# shellcheck source=trusted-conf.sh
. "${BASH_SOURCE[0]%/*}/trusted-conf"

user=${1:-}
case $user in runner) group=jr-owner ;; *) group=$user ;; esac
[[ $user =~ ^(runner|jr-job[1-9][0-9]{0,2})$ ]] || refuse "not a user that jobs run as: $user"
shift

for option; do
  # The pattern does not check this: bash takes seconds for one that counts to thousands.
  [ ${#option} -le 8192 ] || refuse 'an option is longer than 8 KiB'
  case $option in
    --job-name=* | --chdir=/* | --output=/* | --error=/* | --parsable | --export=ALL | --open-mode=append | --requeue) continue ;;
  esac
  [[ $option =~ ^--($job_options|nodes=1|ntasks=1|partition=[a-z0-9_,-]+)$ ]] ||
    refuse "not one of the options of a job: $option"
done

cd /
umask 022
# sbatch reads options from a script's first comments (sbatch(1)), such as a file to read as root.
# The command in front ends these comments. In a clean environment, Slurm does not load the user's
# own.
exec env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 "SLURM_CONF=$conf" /usr/bin/sbatch "$@" "--uid=$user" "--gid=$group" \
  < <(printf '#!/bin/bash\n:\n' && exec cat)
