#!/bin/bash
# Runs on an SSH host. It comes over standard input at each call, behind a line that sets its
# arguments. Nothing of it stays there, except in a job's folder while the job runs. It needs bash
# 4.4, coreutils and tar, and uses setsid (util-linux) where present.
#
# Below the working folder:
#   datasets/<sha256>/{original,tree/}       finished, read-only; `kept` tells whether a reboot may have damaged it, `from`
#                                            which installation sent it
#   datasets/<sha256>.<installation>/        being sent
#   jobs/<installation>/<job>/               job.sh, template/, script/, out/ (the outputs), stdout; stderr of a split log
#
# Small facts are kept as the targets of symbolic links, which are made in one step and on a full
# disk, too. Results are printed to standard output, messages to standard error.

boot_id() { cat /proc/sys/kernel/random/boot_id; }

# Sets `started` to the start of process $1, in ticks since the boot: together with its number, it
# identifies a process for good (proc_pid_stat(5)). Fails for a process that has ended, also for one
# that its parent has not waited for, which may take long in a container.
start_of() {
  local stat
  started=
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  # shellcheck disable=SC2086 # fields, from the state on
  set -- ${stat##*) }
  case $1 in Z | X) return 1 ;; esac
  started=${20}
}

# Tells whether the process named by the fact $1 ("<pid> <start> <boot>") runs.
is_there() {
  local fact pid start boot started
  fact=$(readlink -- "$1") || return 1
  read -r pid start boot <<<"$fact"
  start_of "$pid" && [ "$started" = "$start" ] && [ "$boot" = "$(boot_id)" ]
}

this_process() {
  local started
  start_of $$ && printf '%s %s %s' "$$" "$started" "$(boot_id)"
}

# Makes the working folder (absolute, or below the home folder) and prints facts about this host.
hello() { # working folder
  cd -- "$HOME" && mkdir -p -- "$1" && cd -- "$1" && mkdir -p -- datasets jobs screen || exit 72
  if ! [ -w . ] || ! [ -x . ] || ! [ -w jobs ] || ! [ -w datasets ]; then
    printf 'ssh-host: %s: Permission denied\n' "$PWD" >&2
    exit 72
  fi
  printf '%s\0' "$(pwd -P)" "$HOME" "$(id -un)" "$(boot_id)" "$(date +%s.%N)" "$(df -P -k . | tail -n 1)"
}

# Answers, then waits until the caller goes, so that the connection stays open.
hold() {
  hello "$1"
  cat >/dev/null
}

# Prints the memory in KiB, and nvidia-smi's exit code (empty without it) and words.
capacity() {
  local kib code='' words=''
  kib=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
  if type -P nvidia-smi >/dev/null; then
    # It may hang with its driver.
    words=$(timeout 30 nvidia-smi --query-gpu=memory.total,name --format=csv,noheader,nounits 2>&1)
    code=$?
  fi
  printf '%s\0' "$kib" "$code" "$words"
}

# --- Datasets

# Prints "ready", or the progress of the transfer: bytes of the original, and parts of the tree.
dataset_state() { # datasets folder, digest, installation
  local ready=$1/$2 coming=$1/$2.$3 kept
  if [ -d "$ready" ]; then
    kept=$(readlink "$ready/kept")
    # When the host went down, parts of it may not have been on the disk yet.
    if [ "$kept" = synced ] || [ "$kept" = "$(boot_id)" ]; then
      echo ready
      return
    fi
    take_away "$ready"
  fi
  mkdir -p "$coming/tree" || exit 72
  printf 'coming %s %s\n' "$(size_of "$coming/original")" "$(readlink "$coming/parts" || echo 0)"
}

size_of() { stat -L -c %s -- "$1" 2>/dev/null || echo 0; }

# Ends an earlier receiver whose connection was cut, so that it cannot write late bytes into the
# file.
take_over() { # folder
  local pid rest
  if is_there "$1/receiver"; then
    read -r pid rest <<<"$(readlink "$1/receiver")"
    # sshd gives each command a session, and so a process group, of its own.
    kill -KILL -- "-$pid" 2>/dev/null
    while is_there "$1/receiver"; do sleep 0.05; done
  fi
  ln -sfn "$(this_process)" "$1/receiver"
}

# Receives a file from byte $3 on. Prints the digest of the whole file.
receive_file() { # folder that is being sent, file in it, offset
  local digest=(sha256sum)
  take_over "$1" || exit 72
  # openssl uses the processor's SHA instructions; Debian's sha256sum does not.
  type -P openssl >/dev/null && digest=(openssl dgst -sha256 -r)
  # A file that is sent anew may be shorter than the old one.
  truncate -s "$3" -- "$1/$2" || exit 72
  # Hashing afterwards is faster: with tee, each byte would go through three more pipes.
  cat >>"$1/$2" || exit 74
  "${digest[@]}" <"$1/$2" || exit 74
}

# Gives a large file of the tree, which came as `large`, its mode and the name on standard input.
place_large() { # folder that is being sent, mode
  local name
  IFS= read -r -d '' name
  # An earlier call, whose answer was lost, did it.
  [ -e "$1/large" ] || return 0
  mkdir -p -- "$1/tree/${name%/*}" && chmod -- "$2" "$1/large" && mv -T -- "$1/large" "$1/tree/$name" || exit 74
}

# Receives part $2 of the tree, as a tar of ours.
receive_part() { # folder that is being sent, number
  take_over "$1" || exit 72
  tar -x -o -f - -C "$1/tree" || exit 74
  ln -sfn "$2" "$1/parts"
}

# Gives the dataset its name, in one step.
publish() { # datasets folder, digest, installation, name of the one file when the tree is that original
  local coming=$1/$2.$3
  if [ -n "$4" ]; then ln -f -- "$coming/original" "$coming/tree/$4" || cp -- "$coming/original" "$coming/tree/$4" || exit 74; fi
  rm -f -- "$coming/receiver" "$coming/parts"
  # This guards against a job's mistakes only, since all jobs are the same user.
  chmod -R a-w,u+rX -- "$coming/original" "$coming/tree" && ln -sfn "$(boot_id)" "$coming/kept" && ln -sfn "$3" "$coming/from" || exit 74
  mv -T -- "$coming" "$1/$2" 2>/dev/null || [ -d "$1/$2" ] || exit 74
  # Nobody waits for the disk. Until it has everything, a reboot makes the dataset unusable.
  (sync -f "$1/$2/original" && ln -sfn synced "$1/$2/kept") </dev/null >/dev/null 2>&1 &
}

# --- Jobs

# Makes the job's folder from the tar on standard input.
prepare() { # job folder, log (split or one)
  local fresh
  [ -d "$1" ] && return
  mkdir -p -- "${1%/*}" && fresh=$(mktemp -d -- "$1.XXXXXX") || exit 72
  if ! { tar -x -o -f - -C "$fresh" && mkdir -- "$fresh/out" && : >"$fresh/stdout" &&
    { [ "$2" != split ] || : >"$fresh/stderr"; }; }; then
    rm -rf -- "$fresh"
    exit 74
  fi
  # An earlier call that was cut off may have made it meanwhile.
  mv -T -- "$fresh" "$1" 2>/dev/null || rm -rf -- "$fresh"
}

# Starts the job once: a second call finds it started.
start() { # job folder, GPUs (such as 0,3), shards, Slurm's number of the job, log (split or one)
  local own=(setsid) waited
  if mkdir -- "$1/started" 2>/dev/null; then
    {
      declare -f boot_id start_of this_process job_processes supervise
      printf 'supervise %q %q %q %q %q\n' "$@"
    } >"$1/supervise.sh" || exit 74
    type -P setsid >/dev/null || { own=() && set -m; }
    "${own[@]}" bash "$1/supervise.sh" </dev/null >/dev/null 2>"$1/supervise.err" &
  fi
  for ((waited = 0; waited < 200; waited++)); do
    [ -L "$1/supervisor" ] && return
    sleep 0.05
  done
  printf 'ssh-host: the job did not start: %s\n' "$(cat -- "$1/supervise.err")" >&2
  exit 74
}

# Prepares and starts the job, once, however often it is called. Earlier starts of the job are
# removed.
begin() { # as start
  local earlier
  shopt -s nullglob
  for earlier in "${1%-*}"-*; do
    case $earlier in "$1" | "$1".??????) ;; *) remove "$earlier" ;; esac
  done
  prepare "$1" "$5"
  start "$@"
}

# Runs as the job's parent, in a session of its own: outlives the connection, and notes how the job
# ended.
supervise() { # as start
  local own=(setsid) job status process ended
  trap '' HUP INT TERM QUIT
  # A process in the outputs' folder counts as the job's.
  cd / || exit
  type -P setsid >/dev/null || { own=() && set -m; }
  ln -s "$(this_process)" "$1/supervisor"
  # Emptied before the job starts: the job may be killed at once, and bash says so here.
  : >"$1/supervise.err"
  (
    trap - HUP INT TERM QUIT
    export JR_REMOTE_JOB=$1 SLURM_JOB_ID=$4
    [ -z "$2" ] || export SLURM_JOB_GPUS=$2
    [ -z "$3" ] || export SLURM_SHARDS_ON_NODE=$3
    cd "$1/out" || exit
    exec </dev/null >>"$1/stdout" 2>&1
    [ "$5" != split ] || exec 2>>"$1/stderr"
    exec "${own[@]}" bash "$1/job.sh"
  ) &
  job=$!
  ln -s "$job" "$1/group"
  wait "$job"
  status=$?
  ended="exit $status"
  # bash prints a line only about a child that a signal ended.
  if ((status > 128)) && [ -s "$1/supervise.err" ]; then ended="signal $((status - 128))"; fi
  # Processes that the job left behind end with it, as on Slurm's own nodes.
  while read -r process; do kill -KILL "$process"; done < <(job_processes "$1") 2>/dev/null
  ln -s "$ended" "$1/status"
}

# Prints the numbers of the job's processes, also of those that left its session: they have its
# variable, or work in its folder.
job_processes() { # job folder
  local process entry where
  for process in /proc/[0-9]*; do
    if ! [ -O "$process" ] || [ "${process#/proc/}" = "$$" ]; then continue; fi
    while IFS= read -r -d '' entry; do
      [ "$entry" = "JR_REMOTE_JOB=$1" ] || continue
      printf '%s\n' "${process#/proc/}"
      continue 2
    done 2>/dev/null <"$process/environ"
    where=$(readlink "$process/cwd") || continue
    case $where in
      "$1/out" | "$1/out/"*) printf '%s\n' "${process#/proc/}" ;;
    esac
  done
}

# Prints the job's state ("running", "exit N", "signal N", "lost <why>", "none"), and the size of
# its log.
job_state() { # job folder
  local state=none
  if state=$(readlink -- "$1/status"); then :
  elif is_there "$1/supervisor"; then state=running
  # The job may have ended just now.
  elif state=$(readlink -- "$1/status"); then :
  elif state=$(readlink -- "$1/supervisor"); then
    if [ "${state##* }" = "$(boot_id)" ]; then state='lost killed'; else state='lost rebooted'; fi
  elif [ -d "$1/started" ]; then state='lost killed'
  elif [ -d "$1" ]; then state='none prepared'
  else state='none gone'; fi
  printf '%s\n%s %s\n' "$state" "$(size_of "$1/stdout")" "$(size_of "$1/stderr")"
}

# Waits for the job's end without starting a process.
until_ended() { # job folder
  local pid start rest started pause
  # There is no supervisor yet, or the folder is gone.
  read -r pid start rest < <(readlink -- "$1/supervisor") || return
  exec {pause}<> <(:)
  until [ -L "$1/status" ] || ! start_of "$pid" || [ "$started" != "$start" ]; do read -r -t 0.1 -u "$pause"; done
}

# Copies the job's log from these offsets on, until the job ends: the log to our output, and the
# standard error of a split log to ours.
follow() { # job folder, offset, offset
  until_ended "$1" &
  local on=(-f -s 0.1 "--pid=$!")
  [ ! -e "$1/stderr" ] || tail -c "+$(($3 + 1))" "${on[@]}" -- "$1/stderr" >&2 &
  tail -c "+$(($2 + 1))" "${on[@]}" -- "$1/stdout"
  wait
}

stop() { # job folder, signal
  local group process
  if is_there "$1/supervisor" && group=$(readlink -- "$1/group"); then kill -s "$2" -- "-$group" 2>/dev/null; fi
  while read -r process; do kill -s "$2" "$process" 2>/dev/null; done < <(job_processes "$1")
}

# --- Outputs

# Sorts the entries below $1, a path such as `.`, into files, folders, links and others. Follows no
# link.
walk() {
  local entry
  for entry in "$1"/*; do
    if [ -L "$entry" ]; then links+=("$entry")
    elif [ -d "$entry" ]; then
      folders+=("$entry")
      # A job may have closed the folder to itself.
      if ! [ -r "$entry" ] || ! [ -x "$entry" ]; then chmod u+rwx -- "$entry"; fi
      walk "$entry"
    elif [ -f "$entry" ]; then files+=("$entry")
    else others+=("$entry"); fi
  done
}

# Lists the outputs as NUL-ended records: a kind, a blank, and the rest. Each file that can be read
# has a digest.
outputs() { # job folder
  local files=() folders=() links=() others=() entry first
  cd -- "$1/out" || exit 74
  shopt -s dotglob nullglob
  walk .
  for entry in "${folders[@]}"; do printf 'folder %s\0' "$entry"; done
  for ((first = 0; first < ${#files[@]}; first += 250)); do
    stat --printf 'file %a %s %Y %n\0' -- "${files[@]:first:250}"
    printf 'digests\0'
    sha256sum -z -- "${files[@]:first:250}"
    printf 'files\0'
  done
  for entry in "${links[@]}"; do
    printf 'link %s\0' "$entry"
    readlink -z -n -- "$entry"
    printf '\0'
  done
  for entry in "${others[@]}"; do printf 'other %s\0' "$entry"; done
  printf 'end\0'
}

# Prints the files named on standard input (NUL-ended), one after the other; the first from byte $2
# on.
fetch() { # job folder, offset
  local names first
  cd -- "$1/out" || exit 74
  mapfile -d '' -t names
  tail -c "+$(($2 + 1))" -- "${names[0]}" || exit 74
  for ((first = 1; first < ${#names[@]}; first += 250)); do cat -- "${names[@]:first:250}" || exit 74; done
}

# --- Clearing up

take_away() {
  rm -rf -- "$@" 2>/dev/null && return
  chmod -R u+rwX -- "$@" 2>/dev/null
  rm -rf -- "$@" || exit 74
}

# Ends the job's remaining processes and removes its folder, also one that a call left half-made.
remove() { # job folder
  local pid rest
  stop "$1" KILL
  if is_there "$1/supervisor"; then
    read -r pid rest <<<"$(readlink -- "$1/supervisor")"
    kill -KILL "$pid" 2>/dev/null
    stop "$1" KILL
  fi
  shopt -s nullglob
  take_away "$1" "$1".??????
}

# Prints the names of an installation's jobs and datasets, NUL-ended, with a word in front.
list_own() { # jobs folder of the installation, datasets folder, installation
  local entry
  shopt -s nullglob
  for entry in "$1"/*; do printf 'job %s\0' "${entry##*/}"; done
  for entry in "$2"/*; do
    case $entry in
      *."$3") printf 'dataset %s\0' "${entry##*/}" ;;
      *) [ "$(readlink "$entry/from")" != "$3" ] || printf 'dataset %s\0' "${entry##*/}" ;;
    esac
  done
}

umask 077
printf '%s\n' "$JR_MARK"
printf '%s\n' "$JR_MARK" >&2
"$@"
