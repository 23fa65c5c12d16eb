# Runs a script in a GNU screen session and waits for it. With `-D -m` screen stays a child of this
# script, where Slurm counts its memory and finds it to kill it. The session's terminal is written
# to the job's log.
#
# Slurm's SIGTERM would end screen, and take the terminal from a command that is still winding up.
# Screen is started with that signal blocked; its window inherits that, until perl (always there in
# Debian) lifts the block.
jr_run_in_screen() { # folder for its files, folder of the sockets, end of the session's name, script
  local jr_rc=$1/screen.rc jr_job=$1/screen-job.sh jr_status=$1/screen-status jr_name=gpujob_${SLURM_JOB_GPUS:-cpu}$3 jr_screen jr_code
  export SCREENDIR=$2
  jr_screen=$(type -P screen) ||
    jr_fail "screen: GNU screen is not in PATH ($PATH); install it (apt-get install screen) or submit without screen"
  # A socket's path has 107 bytes (unix(7)); in front of the name stand a number of up to seven
  # digits and a dot.
  ((${#SCREENDIR} + ${#jr_name} + 9 <= 107)) ||
    jr_fail "screen: $SCREENDIR/$jr_name is too long for a socket; use a shorter JR_ROOT"
  # The log is written as the output comes, not every ten seconds; see screen(1).
  printf '%s\n' 'startup_message off' 'logfile flush 0' 'term screen-256color' 'defutf8 on' 'defscrollback 10000' 'deflogin off' \
    'vbell off' >"$jr_rc"
  printf '%s\n' "trap 'exit 143' TERM" "$4" >"$jr_job"
  rm -f -- "$jr_status"
  # The inner bash outlives what ends the command, to tell how it ended.
  /usr/bin/env --block-signal=TERM "$jr_screen" -D -m -c "$jr_rc" -S "$jr_name" -L -Logfile "/proc/$$/fd/1" \
    /usr/bin/perl -MPOSIX -e 'sigprocmask(SIG_SETMASK, POSIX::SigSet->new); exec @ARGV or die $!' \
    /bin/bash -c 'trap : INT QUIT TERM HUP; /bin/bash "$1"; echo $? >"$2"' bash "$jr_job" "$jr_status" </dev/null
  jr_code=$?
  if [ -s "$jr_status" ] && read -r jr_code <"$jr_status" && [[ $jr_code =~ ^[0-9]{1,3}$ ]]; then exit "$jr_code"; fi
  printf 'jobrunner: screen: the session ended without its command: somebody quit or killed it, or it did not start (%s)\n' "$jr_code" >&2
  exit 1
}
