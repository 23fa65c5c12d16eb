# Rendered at each start from slurm/any-job.sh. A job for the first place free, as Slurm runs it, as jr-remote: $jr_job is our number of it,
# $jr_user whose it is here, and the lines that libexec/submit-remote.sh puts below this are the caller's script, for this machine. jr-remote itself runs none of it.
if [ "$SLURM_JOB_PARTITION" = ssh ]; then
  exec {{remote_job}} "$jr_job"
fi
# The log's folder is closed to that user, who could put links there for jr-remote to follow: only this file in it is to be written. Never
# one that is there already, which could be such a link of the API's.
(
  umask 007 && set -o noclobber &&
    /usr/bin/chgrp "$(/usr/bin/id -gn "$jr_user")" /proc/self/fd/1 >{{logs_dir}}/"$jr_job"/stderr.log
)
exec /usr/bin/sudo -n -u "$jr_user" /usr/local/lib/jobrunner/run-job <<'JR_SCRIPT'
