# Runs the function jr_body and ends it after so many seconds, as `timeout -k 5` does: SIGTERM to
# its whole process group, later SIGKILL to the rest. Processes that left the group end with the
# job, as always. Not timeout(1) itself, which would cut the time that Slurm gives a cancelled job
# to wind up.
#
# With `set -m`, the command and the clock each have a process group of their own. A trapped signal
# ends `wait`, so it is called again until the command has ended.
jr_run_with_timeout() { # seconds, seconds from SIGTERM to SIGKILL, exit code, last line of the log
  local jr_over='' jr_ended='' jr_woken=yes jr_command jr_clock jr_code jr_stderr
  # bash itself would print the whole command there when a signal ends it.
  exec {jr_stderr}>&2 2>/dev/null
  # Slurm's SIGTERM goes to the command as well, and is waited for.
  trap 'jr_ended=yes jr_woken=yes' TERM
  set -m
  (
    trap 'exit 143' TERM
    jr_body
  ) 2>&"$jr_stderr" {jr_stderr}>&- &
  jr_command=$!
  trap 'jr_over=yes jr_woken=yes; kill -TERM -- "-$jr_command"' ALRM
  (
    sleep "$1"
    kill -ALRM $$
    sleep "$2"
    kill -KILL -- "-$jr_command"
  ) </dev/null >/dev/null {jr_stderr}>&- &
  jr_clock=$!
  disown "$jr_clock"
  set +m
  while [ "$jr_woken" ]; do
    jr_woken=
    wait "$jr_command"
    jr_code=$?
  done
  trap '' ALRM
  kill -KILL -- "-$jr_clock"
  [ -z "$jr_over" ] || kill -KILL -- "-$jr_command"
  exec 2>&"$jr_stderr" {jr_stderr}>&-
  if [ "$jr_over" ]; then
    printf '%s\n' "$4" >&2
    exit "$3"
  fi
  [ -z "$jr_ended" ] || exit 143
  exit "$jr_code"
}
