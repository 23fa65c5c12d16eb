# Rendered at each start from slurm/any-job.sh: a job for the first free target, which Slurm runs as
# jr-remote. $jr_job is our job number and $jr_user its user on this machine.
# libexec/submit-remote.sh appends the caller's script for this machine; jr-remote itself runs none
# of it.
# shellcheck source=own-log.sh
. {{own_log}} "$jr_job"
if [ "$SLURM_JOB_PARTITION" = ssh ]; then
  exec {{remote_job}} "$jr_job"
fi
# The job's user may not reach the log by its path, but may reopen its own output, as /dev/stdout
# and /dev/stderr do.
/usr/bin/chgrp "$(/usr/bin/id -gn "$jr_user")" /proc/self/fd/1 /proc/self/fd/2 && /usr/bin/chmod g+w /proc/self/fd/1 /proc/self/fd/2
exec /usr/bin/sudo -n -u "$jr_user" /usr/local/lib/jobrunner/run-job <<'JR_SCRIPT'
