#!/usr/bin/env bash
# Builds the image, runs it without privileges, and runs the acceptance test through its published
# port.
#
#   docker/test-image.sh [--torch debian|none|pip] [--port 38080] [--keep]
#
# --keep leaves the last container running. docker/test-engine.sh lists its requirements and the
# folder of its layers.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

torch=debian port=38080 keep=false
while [ $# -gt 0 ]; do
  case $1 in
    --torch) torch=$2 && shift ;;
    --port) port=$2 && shift ;;
    --keep) keep=true ;;
    *)
      sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
      exit 2
      ;;
  esac
  shift
done
image=localhost/jobrunner:test
name=jobrunner-test-$$
token=image-test-$$-token
url=http://127.0.0.1:$port
. docker/test-engine.sh
. docker/test-image-bases.sh
. docker/test-image-jobs.sh
. docker/test-image-users.sh

cleanup() {
  local status=$?
  if $keep && [ $status = 0 ]; then
    echo "kept: $url, token $token; end it with: ${engine_command[*]} rm -f -v $name"
    return
  fi
  stop_sshd "$work/ssh" || true
  [ -z "${engine:-}" ] || beside remove_container
  cleanup_engine
}
trap cleanup EXIT

# --- the service in a container ---

start() { # further options of "run"
  # A later step runs the health check by hand: Podman would need systemd for it.
  engine run -d --no-healthcheck --name "$name" -p "$port:8080" -v "$name:/opt/jobrunner" \
    -e "JR_AUTH_TOKEN=$token" -e JR_SIMULATE_GPUS=3 -e JR_NUM_CPUS=8 "$@" "$image" >/dev/null
  local deadline=$((SECONDS + 90))
  until curl -fsS -o /dev/null "$url/health" 2>"$work/curl"; do
    [ "$(engine inspect -f '{{.State.Running}}' "$name")" = true ] || fail 'the container ended'
    ((SECONDS < deadline)) || fail "no /health at $url within 90 s" "$(cat "$work/curl")"
    sleep 0.2
  done
}

# Runs a function on the second container, where a job runs into its time limit: Slurm takes one to
# two minutes to end it.
beside() {
  local name=$name-beside port=$((port + 2))
  local url=http://127.0.0.1:$port
  "$@"
}

stop() { # must end by itself, cleanly, within the 10 s after which docker stop kills
  local started=${EPOCHREALTIME/./} took code
  engine stop -t 10 "$name" >/dev/null
  took=$(((${EPOCHREALTIME/./} - started) / 1000))
  code=$(engine inspect -f '{{.State.ExitCode}}' "$name")
  [ "$code" = 0 ] || fail "the container ended with $code on SIGTERM, expected 0"
  passed "it stops with exit code 0 ($1; $took ms)"
}

api() { curl -fsS -H "Authorization: Bearer $token" "${@:2}" "$url$1"; }
submit() { api /jobs -F command_key=shell -F mem_gb=0.1 --form-string "command=$1" "${@:2}" | jq -r .job_id; }
ended() { # waits for a job, prints its state
  local state
  state=$(api "/jobs/$1?wait=60" | jq -r .status)
  echo "$state"
}

# Lists every process with the token in its environment, as "uid command line". It runs privileged,
# since root in a container may not read other users' environments, and without the token in its
# own.
holders_of_token() {
  engine exec --privileged -e JR_AUTH_TOKEN= "$name" sh -c '
    for environ in /proc/[0-9]*/environ; do
      process=${environ%/environ}
      [ -e "$environ" ] || continue
      [ -r "$environ" ] || echo "unreadable $environ"
      ! grep -q "$1" "$environ" || echo "$(stat -c %u "$process") $(tr "\0" " " <"$process/cmdline")"
    done' sh "$token" 2>/dev/null
}

# --- build ---

phase prepare
prepare_engine

arguments=(--build-arg "TORCH=$torch")
phase 'base images'
if registry_answers; then
  for base in node:24-trixie-slim debian:trixie-slim; do pull "docker.io/library/$base" >/dev/null; done
else
  make_node_base trixie
  arguments+=(--build-arg NODE_IMAGE="$node_image" --build-arg BASE_IMAGE=localhost/trixie:own)
fi

phase build
build "${arguments[@]}" -t "$image" . >"$cache/build.log" 2>&1 ||
  fail "the build failed; the end of $cache/build.log:" "$(tail -n 60 "$cache/build.log")"

# --- checks ---

phase 'first container'
settings=$(engine image inspect "$image" | jq '.[0].Config')
jq -e '(.ExposedPorts | has("8080/tcp")) and (.Volumes | has("/opt/jobrunner")) and .StopSignal == "SIGTERM" and
  (.Env | index("NVIDIA_VISIBLE_DEVICES=all")) and (.Env | index("NVIDIA_DRIVER_CAPABILITIES=compute,utility"))' \
  <<<"$settings" >/dev/null || fail 'the image’s settings are not as expected' "$settings"
passed 'the image has its port, volume, stop signal and NVIDIA settings'

start -e "JR_GITQUEUE_REPO=$queue_url" -e JR_GITQUEUE_LOCAL=1 -e JR_GITQUEUE_INTERVAL=1
passed "it answers on the published port after $((SECONDS - phase_started)) s"
beside start
overtime=$(beside submit 'sleep 600' -F time_limit=1)

phase acceptance
if [ "$torch" = none ]; then
  echo 'note   built without PyTorch: no acceptance'
else
  test/acceptance.sh "$url" "$token"
fi

phase 'further checks'
equals_empty() { [ -z "$2" ] || fail "$1" "$2"; }
# The state LISTEN in the kernel's tables, 127.0.0.0/8, and the API's port.
exposed=$(engine exec "$name" cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == "0A" && $2 !~ /7F:/ && $2 !~ /:1F90$/ { print $2 }')
equals_empty 'more than the API listens beyond loopback' "$exposed"
passed 'nothing but the API listens beyond loopback'
holders=$(holders_of_token)
grep -q '^0 .*jobrunner stack' <<<"$holders" || fail 'the token was not found even where it must be: the check is broken' "$holders"
equals_empty 'the token stands in the environment of other processes than the starter’s' \
  "$(grep -vE '^0 (/usr/bin/tini|node) ' <<<"$holders" || true)"
passed 'no daemon, and not the API, has the token in its environment'

# Gives the token in two halves: it must not appear in the job's own script.
id=$(submit 'cat /proc/[0-9]*/environ /opt/jobrunner/secrets/* /opt/jobrunner/db/* /opt/jobrunner/munge/* 2>/dev/null | grep -ac "$1$2"' \
  --form-string "args=[\"${token%??????}\",\"${token: -6}\"]")
state=$(ended "$id")
log=$(api "/jobs/$id/log")
[ "$log" = 0 ] || fail "job $id ($state) could read the token, or did not look" "$log"
passed 'a job cannot read the token anywhere'

id=$(submit 'exit 3')
ended "$id" >/dev/null
code=$(api "/jobs/$id" | jq -c '[.status, .exit_code, .failure]')
[ "$code" = '["FAILED",3,"user_code"]' ] || fail "job $id: expected exit code 3" "$code"
passed 'a job’s exit code is reported'

# Root in a container may not inspect other users' processes as Slurm tries to.
id=$(submit 'x=$(head -c 600M /dev/zero | tr "\0" x); sleep 30')
ended "$id" >/dev/null
failure=$(api "/jobs/$id" | jq -c '[.status, .failure]')
[[ $failure =~ ^\[\"(OUT_OF_MEMORY|FAILED)\",\"out_of_memory\"\]$ ]] || fail "job $id: used 600 MB of 0.1 GB, and ended as $failure" "$(api "/jobs/$id/log")"
passed 'a job above its memory limit is killed with the reason'

phase 'jobs as this Slurm runs them'
check_fractions
check_move
check_pause
check_ssh_host
check_git_queue

phase 'users'
check_users
check_too_few_users

phase 'health and processes'
# Docker and Podman show it in different places.
mapfile -t check < <(engine image inspect "$image" | jq -r '.[0] | (.Config.Healthcheck // .Healthcheck).Test[1:][]')
engine exec "$name" "${check[@]}" || fail 'the image’s health check fails'
passed 'the health check succeeds'

# A process that has just ended is a zombie for a moment.
zombies() { engine exec "$name" sh -c 'grep -lE "^State:\s+Z" /proc/[0-9]*/status 2>/dev/null' || true; }
stay=$(zombies)
for ((i = 0; i < 10; i++)); do
  [ "$stay" ] || break
  sleep 1
  stay=$(comm -12 <(sort <<<"$stay") <(zombies | sort))
done
equals_empty 'there are zombies' "$stay"
passed 'no zombie is left'

slurm=$(engine exec "$name" sh -c 'slurmd -V; SLURM_CONF=/opt/jobrunner/slurm/etc/slurm.conf sinfo -N')
printf '%s\n' "$slurm" | sed 's/^/       /'

phase 'stop and start'
id=$(submit 'echo output >kept.bin; echo done' -F gpus=1)
[ "$(ended "$id")" = COMPLETED ] || fail "job $id did not complete" "$(api "/jobs/$id/log")"
# A job that ignores SIGTERM.
running=$(submit 'trap "" TERM; echo started; while :; do sleep 1; done')
until api "/jobs/$running" | jq -e '.status == "RUNNING"' >/dev/null; do sleep 0.2; done
before=$(api "/jobs/$id" | jq -c '[.job_id, .slurm_job_id, .status, .experiment_id]')
last=$(api "/jobs/$running" | jq .slurm_job_id)
datasets=$(api /datasets | jq -c '[.datasets[]?.sha256] | sort')
stop 'with a stubborn job running'
engine rm "$name" >/dev/null

age_volume
# A new container over the same volume, without the rights that a careful host removes, and with a
# memory limit.
start -e JR_JOB_USERS=103 -m 3g --cap-drop MKNOD --cap-drop NET_RAW --cap-drop SYS_CHROOT --cap-drop SETFCAP --cap-drop NET_BIND_SERVICE
passed 'it starts again over the same volume, with fewer capabilities and 3 GiB'
after=$(api "/jobs/$id" | jq -c '[.job_id, .slurm_job_id, .status, .experiment_id]')
[ "$before" = "$after" ] || fail 'the job has changed' "$before" "$after"
[ "$(api "/outputs/download_by_job?job_id=$id&rel_path=kept.bin")" = output ] || fail 'the output has changed'
[ "$datasets" = "$(api /datasets | jq -c '[.datasets[]?.sha256] | sort')" ] || fail 'the datasets have changed' "$datasets"
passed 'jobs, outputs and datasets are kept'
state=$(ended "$running")
[[ $state =~ ^(NODE_FAIL|CANCELLED|FAILED)$ ]] || fail "the job that ran at the stop is $state"
passed "the job that ran at the stop is reported as $state"
id=$(submit 'echo "gpu ${SLURM_JOB_GPUS:-none}"' -F gpus=1)
[ "$(ended "$id")" = COMPLETED ] || fail "job $id did not complete after the restart" "$(api "/jobs/$id")" "$(api "/jobs/$id/log")"
[ "$(api "/jobs/$id/log")" = 'gpu 0' ] || fail 'the job was not given its GPU without device nodes' "$(api "/jobs/$id/log")"
passed 'a job gets its GPU even without device nodes'
next=$(api "/jobs/$id" | jq .slurm_job_id)
((next > last)) || fail "Slurm's job numbers begin again: $next after $last"
passed "Slurm's job numbers go on ($last, then $next)"
memory=$(api /nodes | jq '[.. | .memoryMb? // .memory_mb? // empty][0]')
((memory < 3072)) || fail "the node has $memory MiB under a limit of 3 GiB"
passed "the node keeps to the container's memory ($memory MiB of 3072)"
check_aged_volume "$users_job"
check_users
check_more_users
$keep || stop 'idle'
[ $engine = docker ] || $keep || check_user_namespace

phase 'a time limit'
beside awaits "$overtime" '.status == "TIMEOUT" and .failure == "time_limit"' 'expected it to run into its time limit'
passed 'a job above its time limit is ended with the reason'
beside remove_container
phase end
echo 'test-image: passed'
