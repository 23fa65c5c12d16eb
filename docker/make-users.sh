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
user runner /home/runner --create-home --shell /bin/bash
user jobrunner /nonexistent
# Runs our own program for jobs on SSH hosts, and alone can read the keys to them. Slurm starts a job through a login shell.
user jr-remote /nonexistent --shell /bin/bash

# Who may talk to Slurm: what is not in it cannot reach munge's socket, jobs above all.
getent group jr-slurm >/dev/null || groupadd --system jr-slurm

# The API reads what jobs leave behind (group runner) and submits as runner; nothing more.
member() { id -nG "$1" | tr ' ' '\n' | grep -qx "$2" || usermod -aG "$2" "$1"; }
member jobrunner runner
# It reads what comes back from SSH hosts; jr-remote reads datasets and scripts as jobs do. runner is in neither's group.
member jobrunner jr-remote
member jr-remote runner
for name in slurm jobrunner jr-remote; do member "$name" jr-slurm; done
install -D -m 0644 "$(dirname "$0")/trusted-conf.sh" /usr/local/lib/jobrunner/trusted-conf
for command in run-job set-node-state submit-job submit-remote; do
  install -D -m 0755 "$(dirname "$0")/$command.sh" "/usr/local/lib/jobrunner/$command"
done
rule=/etc/sudoers.d/jobrunner
cat >"$rule.new" <<'RULE'
Defaults!/usr/local/lib/jobrunner/submit-job,/usr/local/lib/jobrunner/set-node-state,/usr/local/lib/jobrunner/submit-remote env_keep += "SLURM_CONF", !requiretty, !log_allowed, !pam_session
jobrunner ALL=(root) NOPASSWD: /usr/local/lib/jobrunner/submit-job
jobrunner ALL=(slurm) NOPASSWD: /usr/local/lib/jobrunner/set-node-state
jobrunner ALL=(jr-remote) NOPASSWD: /usr/local/lib/jobrunner/submit-remote
Defaults!/usr/local/lib/jobrunner/run-job env_keep += "SLURM* CUDA_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES ZE_AFFINITY_MASK GPU_DEVICE_ORDINAL TMPDIR HOSTNAME", !requiretty, !use_pty, !log_allowed, !pam_session
jr-remote ALL=(runner) NOPASSWD: /usr/local/lib/jobrunner/run-job
RULE
chmod 0440 "$rule.new"
visudo -cqf "$rule.new"
mv "$rule.new" "$rule"
