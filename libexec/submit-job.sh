#!/bin/bash -p
# The API's user runs this as root, by sudo, to hand Slurm a job: the script on standard input, to be run as one of the users that jobs
# run as, and options that can neither make it another's nor have root read or run anything. Jobs themselves cannot: munge's socket is
# closed to them.
# Usage: SLURM_CONF=… submit-job USER --option=value … <SCRIPT
set -eu
# shellcheck source=trusted-conf.sh
. "${BASH_SOURCE[0]%/*}/trusted-conf"

user=${1:-}
case $user in runner) group=jr-owner ;; *) group=$user ;; esac
[[ $user =~ ^(runner|jr-job[1-9][0-9]{0,2})$ ]] || refuse "not a user that jobs run as: $user"
shift

for option; do
  # Not by the pattern: bash takes seconds for one that counts to thousands.
  [ ${#option} -le 8192 ] || refuse 'an option is longer than 8 KiB'
  case $option in
    --job-name=* | --chdir=/* | --output=/* | --error=/* | --parsable | --export=ALL | --open-mode=append | --requeue) continue ;;
  esac
  [[ $option =~ ^--($job_options|nodes=1|ntasks=1|partition=[a-z0-9_,-]+)$ ]] ||
    refuse "not one of the options of a job: $option"
done

cd /
umask 022
# The command in front ends the lines in which a script could give sbatch more options (sbatch(1)), a file of root's to read among them.
# A clean environment, so that Slurm need not look for the user's own.
exec env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 "SLURM_CONF=$conf" /usr/bin/sbatch "$@" "--uid=$user" "--gid=$group" \
  < <(printf '#!/bin/bash\n:\n' && exec cat)
