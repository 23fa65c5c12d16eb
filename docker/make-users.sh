#!/usr/bin/env bash
# Makes the users of the daemons, the API and the jobs. Changes nothing when run again.
set -euo pipefail
# Several stacks on one machine may start at once.
exec 9<"$0"
flock 9

# The users of all jobs but the owner's: the API gives each user one of jr-job1 … for good. Their
# numbers are fixed, since Slurm and the files in a volume know users by number, and workers need
# the same. They count downwards from the last number of ordinary users: useradd continues after the
# highest number, and starts again below when that is the last.
max=${JR_JOB_USERS:-100} last=60000
[[ $max =~ ^[1-9][0-9]{0,2}$ ]] || { echo 'JR_JOB_USERS: expected 1 to 999, the number of users besides the owner' >&2; exit 2; }
# Finds obstacles before anything is made: other users with one of these numbers or groups, or one
# of these names without a group of its own.
for database in passwd group; do
  getent "$database" | awk -F: -v last="$last" -v max="$max" -v database="$database" '
    function is_taken(number) { return number > last - max && number <= last }
    { is_user = database == "passwd" }
    $1 ~ /^jr-job[1-9][0-9]*$/ ? is_user && $3 != $4 : is_taken($3) || (is_user && is_taken($4)) { print "/etc/" database ": " $0 }'
done | { ! grep . >&2; } || {
  echo "in the way: jr-job1 to jr-job$max need the numbers of users and groups $last down to $((last + 1 - max)); give the entries above other numbers" >&2
  exit 1
}

user() { # name, home, extra useradd options
  local name=$1 home=$2
  shift 2
  id -u "$name" >/dev/null 2>&1 || useradd --system --user-group --home-dir "$home" --shell /usr/sbin/nologin "$@" "$name"
}
user munge /nonexistent
user mysql /nonexistent
user slurm /nonexistent
# The owner's jobs. All users of jobs read datasets through its group; the owner's own files have
# another group.
user runner /home/runner --create-home --shell /bin/bash
getent group jr-owner >/dev/null || groupadd --system jr-owner
[ "$(id -gn runner)" = jr-owner ] || usermod --gid jr-owner --append --groups runner,jr-owner runner
chmod 0700 /home/runner
user jobrunner /nonexistent
# Runs our program for jobs on SSH hosts, and only it can read their keys. Slurm starts a job
# through a login shell.
user jr-remote /nonexistent --shell /bin/bash

# Answers strangers at the join port.
user jr-join /nonexistent

# The users who may talk to Slurm: all others, jobs above all, cannot reach munge's socket.
getent group jr-slurm >/dev/null || groupadd --system jr-slurm

# The API reads jobs' files through their groups, and has no other rights there.
member() { id -nG "$1" | tr ' ' '\n' | grep -qx "$2" || usermod -aG "$2" "$1"; }
member jobrunner runner
member jobrunner jr-owner
# The API reads the results from SSH hosts; jr-remote reads datasets and scripts as jobs do. No job
# is in either's group.
member jobrunner jr-remote
member jr-remote runner
member jr-remote jr-owner

# Expired: files that a job leaves in its home (SSH keys) or for cron or at let nobody in outside of
# Slurm. Without subordinate ids for user namespaces: nobody could reach a process or a file of such
# an id.
install -d -m 0755 /home/jr-jobs
for ((n = 1; n <= max; n++)); do
  name=jr-job$n id=$((last + 1 - n)) home=/home/jr-jobs/$n
  if ! getent passwd "$name" >/dev/null; then
    getent group "$name" >/dev/null || groupadd --gid "$id" "$name"
    useradd --uid "$id" --gid "$name" --groups runner --no-create-home --home-dir "$home" --shell /bin/bash \
      --expiredate 1970-01-02 --key SUB_UID_COUNT=0 --key SUB_GID_COUNT=0 "$name"
  fi
  [ -d "$home" ] || install -d -m 0700 -o "$name" -g "$name" "$home"
done
for name in jobrunner jr-remote; do
  missing=$(getent group | awk -F: -v user="$name" '$1 ~ /^jr-job[1-9][0-9]*$/ && "," $4 "," !~ "," user "," { printf "%s%s", comma, $1; comma = "," }')
  [ -z "$missing" ] || usermod --append --groups "$missing" "$name"
done

for name in slurm jobrunner jr-remote; do member "$name" jr-slurm; done
libexec=$(dirname "$0")/../libexec
install -D -m 0644 "$libexec/trusted-conf.sh" /usr/local/lib/jobrunner/trusted-conf
for command in measure-jobs run-job set-node-state submit-job submit-remote; do
  install -D -m 0755 "$libexec/$command.sh" "/usr/local/lib/jobrunner/$command"
done
install -D -m 0755 "$libexec/open-folders.pl" /usr/local/lib/jobrunner/open-folders
rule=/etc/sudoers.d/jobrunner
jobs=$(getent passwd | awk -F: '$1 ~ /^jr-job[1-9][0-9]*$/ { printf ", %s", $1 }')
printf 'Runas_Alias JR_JOBS = runner%s\n' "$jobs" >"$rule.new"
cat >>"$rule.new" <<'RULE'
Defaults!/usr/local/lib/jobrunner/submit-job,/usr/local/lib/jobrunner/measure-jobs,/usr/local/lib/jobrunner/set-node-state,/usr/local/lib/jobrunner/submit-remote env_keep += "SLURM_CONF", !requiretty, !log_allowed, !pam_session
jobrunner ALL=(root) NOPASSWD: /usr/local/lib/jobrunner/submit-job
Defaults!/usr/local/lib/jobrunner/open-folders !requiretty, !use_pty, !log_allowed, !pam_session
jobrunner ALL=(root) NOPASSWD: /usr/local/lib/jobrunner/open-folders
jobrunner ALL=(root) NOPASSWD: /usr/local/lib/jobrunner/measure-jobs
jobrunner ALL=(slurm) NOPASSWD: /usr/local/lib/jobrunner/set-node-state
jobrunner ALL=(jr-remote) NOPASSWD: /usr/local/lib/jobrunner/submit-remote
Defaults!/usr/local/lib/jobrunner/run-job env_keep += "SLURM* CUDA_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES ZE_AFFINITY_MASK GPU_DEVICE_ORDINAL TMPDIR HOSTNAME", !requiretty, !use_pty, !log_allowed, !pam_session
jr-remote ALL=(JR_JOBS) NOPASSWD: /usr/local/lib/jobrunner/run-job
RULE
chmod 0440 "$rule.new"
visudo -cqf "$rule.new"
mv "$rule.new" "$rule"
