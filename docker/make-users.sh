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

# The API reads what jobs leave behind (group runner) and submits as runner; nothing more.
id -nG jobrunner | grep -qw runner || usermod -aG runner jobrunner
install -D -m 0755 "$(dirname "$0")/set-node-state.sh" /usr/local/lib/jobrunner/set-node-state
rule=/etc/sudoers.d/jobrunner
cat >"$rule.new" <<'RULE'
Defaults!/usr/bin/sbatch,/usr/local/lib/jobrunner/set-node-state env_keep += "SLURM_CONF", !requiretty, !log_allowed, !pam_session
jobrunner ALL=(runner) NOPASSWD: /usr/bin/sbatch
jobrunner ALL=(slurm) NOPASSWD: /usr/local/lib/jobrunner/set-node-state
RULE
chmod 0440 "$rule.new"
visudo -cqf "$rule.new"
mv "$rule.new" "$rule"
