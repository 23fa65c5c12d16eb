#!/bin/bash
# Run by jr-remote as the job's user, by sudo, on this machine, for a job that could have started on an SSH host, too: the script to run, in base64,
# is on standard input. From here on nothing of the job is jr-remote's.
set -eu
PATH=/usr/bin:/bin
umask 022
# Read by the shell from a file that has no name any more, and of which the job's own processes have no descriptor.
script=$(mktemp /tmp/jr-job.XXXXXXXXXX)
exec 9<"$script"
{ echo 'exec 9<&-' && base64 --decode; } >"$script"
rm -f -- "$script"
exec /bin/bash /dev/fd/9 </dev/null
