#!/usr/bin/env bash
# test-image.sh sources this: jobs of several users, each as its own Unix user, where nobody has
# CAP_SYS_PTRACE to inspect others' processes. It shares its variables with the script that sources
# it.
# shellcheck disable=SC2034,SC2154

declare -A token_of
make_tokens() { # users
  local user
  for user; do
    token_of[$user]=$(api /tokens -F "user=$user" -F days=1 | jq -er .token) || fail "no token for $user"
  done
}
as() { # user, command: with that user's token
  local token=${token_of[$1]}
  "${@:2}"
}
weights() { api "/outputs/download_by_job?job_id=$1&rel_path=models/weights.pt"; }

# Runs a job on this machine that closes its files to all others and leaves a process behind; sets
# `id` and `unix_user`.
run_untidy() { # user, further options of submit
  local user=$1 deadline=$((SECONDS + 60)) left log
  id=$(as "$user" submit 'umask 077; mkdir models; echo "secret of $JR_JOB_ID" >models/weights.pt; (setsid sleep 601 &)
    until grep -qszx "60[1]" /proc/[0-9]*/cmdline; do sleep 0.1; done; id -un' "${@:2}")
  awaits "$id" '.status == "COMPLETED" and .node == "box0"' 'expected it to complete on this machine'
  unix_user=$(api /users | jq -r --arg user "$user" '.users[] | select(.user == $user).unix_user')
  log=$(as "$user" api "/jobs/$id/log")
  [[ $log = "$unix_user" && $log =~ ^jr-job[1-9] ]] || fail "job $id: expected it to run as $user’s own Unix user $unix_user" "$log"
  until left=$(engine exec "$name" sh -c 'grep -lszx "60[1]" /proc/[0-9]*/cmdline; echo none else') && [ "$left" = 'none else' ]; do
    ((SECONDS < deadline)) || fail "job $id: its leftover processes still run" "$left"
    sleep 0.2
  done
  [ "$(as "$user" weights "$id")" = "secret of $id" ] || fail "job $id: the file that it has closed cannot be downloaded"
}

cannot_reach() { # user, another user's job
  local user=$1 folder=/opt/jobrunner/results/$2 log id
  ! as "$user" weights "$2" >/dev/null 2>&1 || fail "$user can download the output of another user’s job $2"
  id=$(as "$user" submit "exec 2>&1; cat $folder/models/weights.pt && echo READ; ls $folder && echo LISTED; echo >$folder/new && echo WROTE; id -un")
  awaits "$id" '.status == "COMPLETED"' 'expected it to complete'
  log=$(api "/jobs/$id/log")
  [[ $(grep -c denied <<<"$log") = 3 && ! $log =~ (secret|READ|LISTED|WROTE) ]] || fail "job $id of $user can reach job $2" "$log"
  [ "$(tail -n 1 <<<"$log")" != "$unix_user" ] || fail "job $id of $user runs as another user’s $unix_user"
}

check_users() {
  local id unix_user
  make_tokens alice bob
  run_untidy alice
  cannot_reach bob "$id"
  passed "each user's jobs run as a Unix user of their own, and neither reads nor changes another's results ($unix_user's here)"
  passed 'a job’s leftover processes end with it, and its closed files can be downloaded'
  users_job=$id
}

# Uses the SSH host that check_ssh_host has added.
check_users_any_place() { # the host's node, its user
  local id unix_user log
  make_tokens alice
  api "/nodes/$1/drain" -X POST >/dev/null
  run_untidy alice -F partition=any
  api "/nodes/$1/resume" -X POST >/dev/null
  api /nodes/box0/drain -X POST >/dev/null
  id=$(as alice submit 'id -un' -F partition=any)
  awaits "$id" ".status == \"COMPLETED\" and .node == \"$1\"" 'expected it to complete on the SSH host'
  api /nodes/box0/resume -X POST >/dev/null
  log=$(as alice api "/jobs/$id/log")
  [ "$log" = "$2" ] || fail "job $id: expected it to run as $2 on the SSH host" "$log"
  passed 'a user’s job for any target runs here as their Unix user, and leaves nothing running; on an SSH host as its account'
}

# Runs as the API's user, who owns the files that SQLite makes beside the database.
in_database() { # SQL, command that runs another in a container, its standard input, too
  "${@:2}" setpriv --reuid=jobrunner --regid=jobrunner --init-groups python3 - "$1" <<'PYTHON'
import sqlite3, sys
db = sqlite3.connect("/opt/jobrunner/db/jr_slurm.db", timeout=30)
db.execute(sys.argv[1])
db.commit()
db.close()
PYTHON
}

# All Unix users of the image are in use; JR_JOB_USERS at the next start makes more.
check_too_few_users() {
  local said
  make_tokens carol
  in_database "INSERT INTO job_users VALUES ('the hundredth', 100)" engine exec -i "$name"
  said=$(as carol api /jobs --no-fail -w '%{http_code}' -F command_key=shell -F command=true)
  [[ $said =~ JR_JOB_USERS=200.*422$ ]] || fail 'expected an error about too few Unix users, with the remedy' "$said"
  passed 'when all Unix users are in use, the error names JR_JOB_USERS'
}
check_more_users() {
  local id
  id=$(as carol submit 'id -un')
  awaits "$id" '.status == "COMPLETED"' 'expected it to complete'
  [ "$(api "/jobs/$id/log")" = jr-job101 ] || fail "job $id: expected it to run as jr-job101" "$(api "/jobs/$id/log")"
  passed 'JR_JOB_USERS makes more'
}

# Resets the volume of a stopped container to a state from when all jobs ran as one user.
age_volume() {
  local run=(engine run --rm -i --no-healthcheck -v "$name:/opt/jobrunner" --entrypoint /usr/bin/env "$image")
  "${run[@]}" -C /opt/jobrunner sh -e <<'SH' || fail 'the volume could not be reset'
chmod 2750 results logs/jobs scripts
find results logs/jobs scripts -exec chgrp -h runner {} +
find results logs/jobs scripts -uid +59000 -exec chown -h runner {} +
rm -r run/screen
SH
  in_database 'UPDATE jobs SET unix_user = NULL' "${run[@]}"
}
check_aged_volume() { # a job of alice's from then
  local id unix_user=runner
  [ "$(as alice weights "$1")" = "secret of $1" ] || fail "job $1: its user cannot read its output"
  cannot_reach bob "$1"
  id=$(submit "cat /opt/jobrunner/results/$1/models/weights.pt; id -un")
  awaits "$id" '.status == "COMPLETED"' 'expected it to complete'
  [ "$(api "/jobs/$id/log")" = "secret of $1"$'\nrunner' ] || fail "job $id: expected the owner to read the output of job $1" "$(api "/jobs/$id/log")"
  as alice api "/jobs/$1" -X DELETE || fail "job $1 cannot be deleted"
  passed 'outputs from a time with one shared user are served, kept from other users, and can be deleted'
}

# Container runtimes give a container 65,536 user numbers, which must include those of jobs.
check_user_namespace() {
  local mapping=0:100000:65536
  phase 'a user namespace'
  engine rm -f -v "$name" >/dev/null && engine volume rm -f "$name" >/dev/null
  start --uidmap "$mapping" --gidmap "$mapping"
  check_users
}
