# Ends the job before its command runs: says why on standard error.
jr_fail() { # why
  printf 'jobrunner: %s\n' "$1" >&2
  exit 2
}
