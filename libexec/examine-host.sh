#!/bin/sh
# Runs on an SSH host, over standard input, behind a line that sets `workdir`: prints the host's
# capacity and the tools it lacks. All lines are marked, since a login shell may print, too. The
# folder is made as for a job; an empty one is removed again.
export LC_ALL=C
: "${workdir:?}"
say() { printf 'jobrunner:%s:%s\n' "$1" "$2"; }
for tool in bash tar sha256sum setsid stat mkdir mv rm df tail sleep; do
  command -v "$tool" >/dev/null 2>&1 || say missing "$tool"
done
say cpus "$(nproc 2>/dev/null)"
say memory "$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo 2>/dev/null)"
say clock "$(date +%s)"
cd || exit 72
made=no
[ -d "$workdir" ] || made=yes
mkdir -p -- "$workdir" || exit 72
[ -w "$workdir" ] || { echo "$workdir is not writable" >&2; exit 72; }
# The free blocks stand in front of the percentage; a device's name may hold blanks.
say disk "$(df -Pk -- "$workdir" | tail -n 1 | sed 's/^.* \([0-9][0-9]*\)  *[0-9]*% .*$/\1/')"
[ "$made" = no ] || rmdir -- "$workdir" 2>/dev/null
if command -v nvidia-smi >/dev/null 2>&1; then
  # timeout(1) is of coreutils: nvidia-smi may hang with its driver.
  shown=$(timeout 30 nvidia-smi --query-gpu=memory.total,name --format=csv,noheader,nounits 2>&1)
  say smi "$?"
  printf '%s\n' "$shown" | while read -r line; do say gpu "$line"; done
fi
say 'done' yes
