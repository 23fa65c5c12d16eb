#!/bin/bash -p
# The API's user runs this by sudo as root, since jobs can close folders to the API. Standard input
# has job numbers, one a line. Prints the bytes on the disk and the path below JR_ROOT of each of
# the jobs' folders. du follows no link, leaves other file systems out, and counts a file with two
# names once. After 300 s, the folders printed so far have to do.
# Usage: SLURM_CONF=… measure-jobs <NUMBERS
set -euo pipefail
# shellcheck source=trusted-conf.sh
. "${BASH_SOURCE[0]%/*}/trusted-conf"
[ $# = 0 ] || refuse 'takes no arguments'

cd -P -- "$root"
export LC_ALL=C.UTF-8
folders() {
  local id path
  while read -r id; do
    [[ $id =~ ^[1-9][0-9]{0,14}$ ]] || refuse 'not the number of a job'
    for path in results logs/jobs scripts; do [ ! -d "$path/$id" ] || printf '%s/%s\0' "$path" "$id"; done
  done
}
folders | /usr/bin/nice -n 19 /usr/bin/ionice -c 3 /usr/bin/timeout 300 \
  /usr/bin/du --summarize --block-size=1 --one-file-system --files0-from=-
