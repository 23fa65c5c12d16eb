#!/usr/bin/env bash
# Makes the users that the daemons, the API and the jobs run as. Does nothing the second time.
set -euo pipefail

user() { # name, home, extra useradd options
  local name=$1 home=$2
  shift 2
  id -u "$name" >/dev/null 2>&1 || useradd --system --user-group --home-dir "$home" --shell /usr/sbin/nologin "$@" "$name"
}
user munge /nonexistent
user mysql /nonexistent
user slurm /nonexistent
# The jobs of the box's owner. Through its group all that runs jobs reads datasets; what is the owner's alone has a group of its own.
user runner /home/runner --create-home --shell /bin/bash
getent group jr-owner >/dev/null || groupadd --system jr-owner
[ "$(id -gn runner)" = jr-owner ] || usermod --gid jr-owner --append --groups runner,jr-owner runner
chmod 0700 /home/runner
user jobrunner /nonexistent
# Runs our own program for jobs on SSH hosts, and alone can read the keys to them. Slurm starts a job through a login shell.
user jr-remote /nonexistent --shell /bin/bash

# Who may talk to Slurm: what is not in it cannot reach munge's socket, jobs above all.
getent group jr-slurm >/dev/null || groupadd --system jr-slurm

# The API reads what jobs leave behind, through their groups; nothing more.
member() { id -nG "$1" | tr ' ' '\n' | grep -qx "$2" || usermod -aG "$2" "$1"; }
member jobrunner runner
member jobrunner jr-owner
# It reads what comes back from SSH hosts; jr-remote reads datasets and scripts as jobs do. No job is in either's group.
member jobrunner jr-remote
member jr-remote runner
member jr-remote jr-owner

# The jobs of everybody else: the API gives each user one of these, for good. Their numbers are fixed, since Slurm and what is kept in
# a volume know users by number, and worker boxes must have the same.
most=${JR_JOB_USERS:-100}
[[ $most =~ ^[1-9][0-9]{0,2}$ ]] || { echo 'JR_JOB_USERS: expected 1 to 999, the number of users besides the owner' >&2; exit 2; }
install -d -m 0755 /home/jr-jobs
for ((n = 1; n <= most; n++)); do
  name=jr-job$n id=$((59000 + n)) home=/home/jr-jobs/$n
  if ! getent passwd "$name" >/dev/null; then
    getent group "$name" >/dev/null || groupadd --gid "$id" --users jobrunner,jr-remote "$name"
    useradd --uid "$id" --gid "$id" --groups runner --no-create-home --home-dir "$home" --shell /bin/bash "$name"
  fi
  [ -d "$home" ] || install -d -m 0700 -o "$name" -g "$name" "$home"
done

for name in slurm jobrunner jr-remote; do member "$name" jr-slurm; done
install -D -m 0644 "$(dirname "$0")/trusted-conf.sh" /usr/local/lib/jobrunner/trusted-conf
for command in run-job set-node-state submit-job submit-remote; do
  install -D -m 0755 "$(dirname "$0")/$command.sh" "/usr/local/lib/jobrunner/$command"
done
rule=/etc/sudoers.d/jobrunner
jobs=$(getent passwd | awk -F: '$1 ~ /^jr-job[1-9][0-9]*$/ { printf ", %s", $1 }')
printf 'Runas_Alias JR_JOBS = runner%s\n' "$jobs" >"$rule.new"
cat >>"$rule.new" <<'RULE'
Defaults!/usr/local/lib/jobrunner/submit-job,/usr/local/lib/jobrunner/set-node-state,/usr/local/lib/jobrunner/submit-remote env_keep += "SLURM_CONF", !requiretty, !log_allowed, !pam_session
jobrunner ALL=(root) NOPASSWD: /usr/local/lib/jobrunner/submit-job
jobrunner ALL=(slurm) NOPASSWD: /usr/local/lib/jobrunner/set-node-state
jobrunner ALL=(jr-remote) NOPASSWD: /usr/local/lib/jobrunner/submit-remote
Defaults!/usr/local/lib/jobrunner/run-job env_keep += "SLURM* CUDA_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES ZE_AFFINITY_MASK GPU_DEVICE_ORDINAL TMPDIR HOSTNAME", !requiretty, !use_pty, !log_allowed, !pam_session
jr-remote ALL=(JR_JOBS) NOPASSWD: /usr/local/lib/jobrunner/run-job
RULE
chmod 0440 "$rule.new"
visudo -cqf "$rule.new"
mv "$rule.new" "$rule"
