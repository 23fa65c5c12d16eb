# Sourced by what the API may run as another user: sets `conf` to the slurm.conf that SLURM_CONF names, `etc` and `root` to its folders.
# Slurm loads whatever plugins its configuration names, so one that the caller could have written would run the caller's code. It must
# be the one that root rendered: not any file of root's, since logs are root's, too, and hold callers' words.
refuse() { echo "${0##*/}: $1" >&2; exit 2; }
conf=$(readlink -e -- "${SLURM_CONF:-}") || conf=
[[ $conf == */slurm/etc/slurm.conf ]] || refuse 'SLURM_CONF: not a cluster’s slurm.conf'
etc=${conf%/slurm.conf}
root=${etc%/slurm/etc}
# What stands above may be somebody else's, but neither the API's nor a job's.
above=()
for ((level = 0; level < 100; level++)); do
  [ ${#above[@]} = 0 ] && path=$root || path=${above[-1]}
  [ "$path" != / ] || break
  path=${path%/*}
  above+=("${path:-/}")
done
open=$(find "$conf" "$etc" "$root/slurm" "$root" -maxdepth 0 \( ! -user root -o -perm /022 \) -print -quit &&
  find "${above[@]}" -maxdepth 0 \( -user jobrunner -o -user runner -o -user jr-remote -o -perm /022 ! -perm -1000 \) -print -quit)
[ -z "$open" ] || refuse "SLURM_CONF: $open is not root’s alone"
