#!/usr/bin/env bash
# Runs in an image before any installation: makes the users of make-users.sh with fixed numbers. A
# new image must still own the files that an older one left in the volume. Debian assigns 100
# upwards and 999 downwards, and reserves 64030 for slurm.
set -euo pipefail

user() { # name, number, home, shell, extra useradd options
  groupadd --gid "$2" "$1"
  useradd --key UID_MIN=100 --key UID_MAX=65000 --uid "$2" --gid "$2" --home-dir "$3" --shell "$4" "${@:5}" "$1"
}
user munge 901 /nonexistent /usr/sbin/nologin
user mysql 902 /nonexistent /usr/sbin/nologin
groupadd --gid 907 jr-owner
user runner 903 /home/runner /bin/bash --create-home
user jobrunner 904 /nonexistent /usr/sbin/nologin
user jr-remote 905 /nonexistent /bin/bash
user jr-join 908 /nonexistent /usr/sbin/nologin
user slurm 64030 /nonexistent /usr/sbin/nologin
groupadd --gid 906 jr-slurm
