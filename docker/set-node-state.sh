#!/bin/sh
# The API's user runs this as slurm, by sudo: an Operator may do anything to jobs, but not drain or resume a node.
# Usage: SLURM_CONF=… set-node-state NAME DRAIN|RESUME [REASON]
set -eu
# sudo hands on the caller's own where its settings have no secure_path.
PATH=/usr/bin:/bin
case $1 in *[!A-Za-z0-9_-]* | '') echo "not the name of a node: $1" >&2; exit 2 ;; esac

# Slurm loads whatever plugins its configuration names, so one that the caller could have written would run the caller's code as
# slurm. It must be the one that root rendered: not any file of root's, since logs are root's, too, and hold callers' words.
conf=$(readlink -e -- "${SLURM_CONF:-}") || conf=
case $conf in */slurm/etc/slurm.conf) ;; *) echo "SLURM_CONF: not a cluster’s slurm.conf" >&2; exit 2 ;; esac
refuse() { echo "SLURM_CONF: $1 is not root’s alone" >&2; exit 2; }
path=$conf
# The file, its two folders, and JR_ROOT.
for level in 1 2 3 4; do
  [ "$(find "$path" -maxdepth 0 -user root ! -perm /022)" ] || refuse "$path"
  path=$(dirname "$path")
done
# What stands above may be somebody else's, but neither the API's nor the jobs'.
while :; do
  [ "$(find "$path" -maxdepth 0 ! -user jobrunner ! -user runner \( ! -perm /022 -o -perm -1000 \))" ] || refuse "$path"
  [ "$path" != / ] || break
  path=$(dirname "$path")
done
export SLURM_CONF="$conf"

case $2 in
  DRAIN) exec /usr/bin/scontrol update "NodeName=$1" State=DRAIN "Reason=${3:-drained over the API}" ;;
  RESUME) exec /usr/bin/scontrol update "NodeName=$1" State=RESUME ;;
esac
echo "neither DRAIN nor RESUME: $2" >&2
exit 2
