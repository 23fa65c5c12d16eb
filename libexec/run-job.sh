#!/bin/bash
# jr-remote runs this by sudo as the job's user, on this machine, for a job that could also have
# started on an SSH host. The job's script is on standard input, in base64. From here on, nothing of
# the job belongs to jr-remote.
set -eu
PATH=/usr/bin:/bin
umask 022
# The shell reads the script from a file without a name; the job's own processes get no descriptor
# of it.
script=$(mktemp /tmp/jr-job.XXXXXXXXXX)
exec 9<"$script"
{ echo 'exec 9<&-' && base64 --decode; } >"$script"
rm -f -- "$script"
exec /bin/bash /dev/fd/9 </dev/null
