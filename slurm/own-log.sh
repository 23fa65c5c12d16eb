#!/bin/bash
# Rendered at each start from slurm/own-log.sh. Scripts of jr-remote source this first, with our job
# number. Slurm follows a link in the log's place, and the API could have put one there that leads
# to a file of jr-remote's. In that case nothing is run.
(
  cd -- {{logs_dir}}/"$1" && [ ! -L stdout.log ] && [ ! -L stderr.log ] && [ "/proc/$$/fd/1" -ef stdout.log ] &&
    { [ "/proc/$$/fd/2" -ef stdout.log ] || [ "/proc/$$/fd/2" -ef stderr.log ]; }
) || exit 1
