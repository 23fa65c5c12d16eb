#!/bin/bash
# Rendered at each start from slurm/remote-job.sh: a job on an SSH host, as Slurm runs it here, as
# jr-remote. $1 is our job number.
# shellcheck source=own-log.sh
. {{own_log}} "$1"
umask 007
for name in $(compgen -e); do
  case $name in SLURM*) ;; *) unset "$name" ;; esac
done
export PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 NODE_ENV=production
export SLURM_CONF={{slurm_conf}} {{settings}}
exec {{node}} {{main}} remote-run "$1" </dev/null
