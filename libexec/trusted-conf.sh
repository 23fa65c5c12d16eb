# The programs that the API may run as another user source this. It sets `conf` to the slurm.conf
# that SLURM_CONF names, and `etc` and `root` to its folders. Slurm loads the plugins that its
# configuration names, so a configuration by the caller would run the caller's code. Only the one
# that root rendered will do, not just any file of root's: logs belong to root, too, and hold
# callers' texts. Every job waits for this, so each process started here counts. Without secure_path
# in its settings, sudo hands on the caller's PATH.
export PATH=/usr/bin:/bin
refuse() { echo "${0##*/}: $1" >&2; exit 2; }
[[ ${SLURM_CONF:-} == /*/slurm/etc/slurm.conf ]] && cd -P -- "${SLURM_CONF%/*}" && [[ $PWD == /*/slurm/etc ]] ||
  refuse 'SLURM_CONF: not a cluster’s slurm.conf'
etc=$PWD
conf=$etc/slurm.conf
root=${etc%/slurm/etc}
paths=("$conf" "$etc" "$root/slurm" "$root")
for path in "${paths[@]}"; do [ ! -L "$path" ] || refuse "SLURM_CONF: $path is a link"; done
while [ "$path" != / ]; do
  path=${path%/*}
  path=${path:-/}
  paths+=("$path")
done
n=0
while read -r owner mode; do
  # Folders above JR_ROOT may belong to others, but neither to the API nor to a job.
  case $((n < 4)),$owner in
    1,root) ;;
    1,* | 0,jobrunner | 0,runner | 0,jr-job[0-9]* | 0,jr-remote) refuse "SLURM_CONF: ${paths[n]} is not root’s alone" ;;
  esac
  ((!(8#$mode & 8#022) || (n >= 4 && 8#$mode & 8#1000))) || refuse "SLURM_CONF: ${paths[n]} is not root’s alone"
  n=$((n + 1))
done < <(stat --format='%U %a' -- "${paths[@]}")
[ "$n" = ${#paths[@]} ] || refuse 'SLURM_CONF: its folders cannot be looked at'

# The options of sbatch that any job may have, as an extended regular expression. submit-job and
# submit-remote pass no others.
# shellcheck disable=SC2034
job_options='comment=jobrunner:[0-9a-f]+|account=jr-[a-z0-9_.@-]+|cpus-per-task=[0-9]+|mem=[0-9]+M|gres=[a-z0-9_:,]+|nice=[0-9]+|time=(UNLIMITED|[0-9:-]+)|constraint=[a-z0-9|]+'
