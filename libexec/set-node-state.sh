#!/bin/bash -p
# The API's user runs this by sudo as slurm, since an Operator may not drain or resume a node.
# Usage: SLURM_CONF=… set-node-state NAME DRAIN|RESUME [REASON]
set -eu
# shellcheck source=trusted-conf.sh
. "${BASH_SOURCE[0]%/*}/trusted-conf"

case $1 in *[!A-Za-z0-9_-]* | '') echo "not the name of a node: $1" >&2; exit 2 ;; esac

export SLURM_CONF="$conf"

case $2 in
  DRAIN) exec /usr/bin/scontrol update "NodeName=$1" State=DRAIN "Reason=${3:-drained over the API}" ;;
  RESUME) exec /usr/bin/scontrol update "NodeName=$1" State=RESUME ;;
esac
echo "neither DRAIN nor RESUME: $2" >&2
exit 2
