#!/bin/sh
# Rendered at each start from slurm/epilog-ssh.sh. Run by the slurmd of an SSH host, as root on this machine, after each of its jobs.
# Nothing is opened to the group here, as after the jobs of this machine: what writes the outputs does that, and the folder's name may
# by now be a link that the API has put there, to a key that is jr-remote's alone.
# The API watches this file and asks for the job's state at once.
: >{{job_ended_file}}
exit 0
