#!/usr/bin/env bash
# Walks a running service from an upload to downloaded weights and checks every answer.
#
#   test/acceptance.sh URL TOKEN
#
# ACCEPTANCE_GPUS=0     GPUs of the training job; unset: 1, or 0 where the service has none
# ACCEPTANCE_MEM_GB=2   its memory; unset: 8
#
# The functions named seed_* are the service's oldest documented commands, kept to the letter, since
# people's scripts consist of them. Those leave their variables unquoted.
# shellcheck disable=SC2086
set -uo pipefail

[ $# = 2 ] || {
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
BASE=${1%/}
TOK=$2
checks=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

fail() {
  printf 'acceptance: FAILED: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf '%s\n' "--- what came:" "${@:2}" '---' >&2
  exit 1
}
passed() {
  checks=$((checks + 1))
  printf 'ok %2d  %s\n' "$checks" "$1"
}
# What is checked, the text, a regular expression that it must match.
matches() {
  [[ $2 =~ $3 ]] || fail "$1: expected /$3/" "$2"
  passed "$1"
}
equals() {
  [ "$2" = "$3" ] || fail "$1: expected $3" "$2"
  passed "$1"
}

# The commands name localhost:8080 and fixed sizes; here they go to the service under test, in sizes that it has.
curl() {
  set -- "${@/#http:\/\/localhost:8080/$BASE}"
  set -- "${@/#gpus=1/gpus=$gpus}"
  command curl -sS "${@/#mem_gb=8/mem_gb=$mem_gb}"
}
# The commands wait for ever; here they stop at a failed job, or after five minutes.
sleep() {
  case ${status:-} in
    FAILED | CANCELLED | TIMEOUT | OUT_OF_MEMORY | NODE_FAIL | REJECTED)
      fail "job $jid ended as $status" "$(api "/jobs/$jid/log")"
      ;;
  esac
  ((SECONDS < deadline)) || fail "job ${jid:-?} is still ${status:-unknown}" "$(api "/jobs/${jid:-}")"
  command sleep 1
}
api() { # path, further curl options
  command curl -sS -H "Authorization: Bearer $TOK" "${@:2}" "$BASE$1"
}

for tool in curl jq xz sha256sum; do
  command -v "$tool" >/dev/null || fail "$tool is not installed"
done
mem_gb=${ACCEPTANCE_MEM_GB:-8}
gpus=1
deadline=$((SECONDS + 300))

# --- 1. Health & Auth ---
seed_health() {
curl http://localhost:8080/health
}
seed_unauthorized() {
curl -i http://localhost:8080/datasets/exists/abc  # Returns 401
}
matches 'health says ok' "$(seed_health 2>&1)" '"status": ?"ok"'
matches 'no token: 401' "$(seed_unauthorized 2>&1)" '^HTTP/1.1 401'
matches 'a wrong token: 401' "$(command curl -sSi -H "Authorization: Bearer ${TOK}x" "$BASE/jobs" 2>&1)" '^HTTP/1.1 401'

found=$(api /gpus | jq '.gpus | length') || fail 'GET /gpus cannot be read' "$(api /gpus 2>&1)"
if [ "${ACCEPTANCE_GPUS+given}" ]; then
  gpus=$ACCEPTANCE_GPUS
elif [ "$found" = 0 ]; then
  echo 'note   the service has no GPU: the training job asks for gpus=0 instead of 1'
  gpus=0
fi

# --- 2. Dataset Upload with Auto-extraction ---
seed_archive() {
# Create test archive
mkdir -p data
echo "test content" > data/file.txt
tar -cJf data.tar.xz data/
}
seed_digest() {
sha=$(sha256sum data.tar.xz | awk '{print $1}')
}
seed_upload() {
curl -H "Authorization: Bearer $TOK" \
  -F "file=@data.tar.xz" \
  -F "sha256=$sha" \
  $BASE/datasets/upload
}
seed_exists() {
curl -H "Authorization: Bearer $TOK" \
  $BASE/datasets/exists/$sha | grep '"exists": true'
}
upload_status() {
  api /datasets/upload -o reply -w '%{http_code}' -F file=@data.tar.xz -F "sha256=$sha"
}
seed_archive
# New content each time, so that the first upload stores it.
echo "$(date +%s%N) $RANDOM" >>data/file.txt
tar -cJf data.tar.xz data/
seed_digest
matches 'the archive is stored under its digest' "$(seed_upload 2>&1)" "$sha"
matches 'it exists' "$(seed_exists 2>&1)" '"exists": true'
equals 'the same archive again: 200' "$(upload_status)" 200
matches 'it is unpacked' "$(api "/datasets/$sha/files")" 'data/file\.txt'

# --- 3. Job Submission (Non-root) ---
seed_submit() {
# Submit job
resp=$(curl -s -H "Authorization: Bearer $TOK" \
  -F dataset_sha=$sha \
  -F command_key=pytorch_example \
  -F gpus=1 -F cpus=2 -F mem_gb=8 \
  -F time_limit=00:10:00 \
  $BASE/jobs)

jid=$(echo $resp | sed -n 's/.*"job_id":[ ]*\([0-9]*\).*/\1/p')
}
seed_poll() {
# Poll until complete
while true; do
  status=$(curl -s -H "Authorization: Bearer $TOK" $BASE/jobs/$jid | grep -o '"status":"[^"]*"' | cut -d'"' -f4)
  echo "Status: $status"
  [[ "$status" == "COMPLETED" ]] && break
  sleep 2
done
}
seed_log() {
# Check logs
curl -H "Authorization: Bearer $TOK" $BASE/jobs/$jid/log
}
seed_submit
matches 'the training job is accepted' "${jid:-no job_id in: $resp}" '^[0-9]+$'
seed_poll >polled
equals 'it completes' "$(tail -n 1 polled)" 'Status: COMPLETED'
matches 'its log shows PyTorch at work' "$(seed_log 2>&1)" 'PyTorch [0-9].*epoch .*saved weights/model\.pth'

# --- 4. Results & Indexing ---
seed_result() {
# Get result (triggers auto-indexing)
curl -H "Authorization: Bearer $TOK" $BASE/jobs/$jid/result
}
seed_outputs() {
# List outputs
curl -H "Authorization: Bearer $TOK" $BASE/outputs/by_job/$jid
}
seed_download() {
# Download weights
exp=$(curl -s -H "Authorization: Bearer $TOK" $BASE/outputs/by_job/$jid | jq -r '.outputs[0].experiment_id')
curl -L -H "Authorization: Bearer $TOK" \
  "$BASE/outputs/download?experiment_id=$exp&output_id=weights" \
  -o model.pth
}
matches 'the result is indexed' "$(seed_result 2>&1)" 'weights/model\.pth'
outputs=$(seed_outputs 2>&1)
matches 'the outputs are listed' "$outputs" 'weights/model\.pth'
seed_download
equals 'the experiment is the job’s' "$exp" "$(api "/jobs/$jid" | jq -r .experiment_id)"
weights_sha=$(jq -r '.outputs[] | select(.output_id == "weights" or .id == "weights") | .sha256' <<<"$outputs")
[ -s model.pth ] || fail 'no model.pth came'
equals 'model.pth has the listed digest' "$(sha256sum model.pth | cut -d' ' -f1)" "$weights_sha"
api "/outputs/download_by_job?job_id=$jid&rel_path=weights/model.pth" -L -o by-path.pth
cmp -s model.pth by-path.pth || fail 'the download by path differs from the download by id'
passed 'the download by path is the same file'

# --- What a job may and may not do ---
run_shell() { # a bash command line; sets jid, leaves the log in the file "log"
  resp=$(api /jobs -F command_key=shell -F "dataset_sha=$sha" -F mem_gb=0.25 -F "gpus=$gpus" --form-string "command=$1")
  jid=$(jq -r '.job_id // empty' <<<"$resp")
  [ -n "$jid" ] || fail 'a shell job was not taken' "$resp"
  status=
  seed_poll >polled
  api "/jobs/$jid/log" >log
}
run_shell 'echo "user=$(id -un) uid=$(id -u)"
cat "$JR_DATASET_DIR"/data/file.txt
(: >"$JR_DATASET_DIR/new") 2>/dev/null && echo WROTE-NEW
(echo x >>"$JR_DATASET_DIR/data/file.txt") 2>/dev/null && echo WROTE-OLD
(rm -f "$JR_DATASET_DIR/data/file.txt") 2>/dev/null && echo REMOVED
(chmod u+w "$JR_DATASET_DIR") 2>/dev/null && echo CHMODDED
echo "gpus=<${SLURM_JOB_GPUS:-none}>"
env | grep -iE "token|secret|app_key|authorization" && echo LEAKED
echo end'
log=$(cat log)
matches 'a job runs as runner' "$log" 'user=runner uid=[1-9]'
matches 'it reads the dataset' "$log" 'test content'
[[ ! $log =~ WROTE|REMOVED|CHMODDED ]] || fail 'a job changed its dataset' "$log"
passed 'it cannot change the dataset'
[[ ! $log =~ LEAKED ]] || fail 'a secret is in the job’s environment' "$log"
passed 'no secret is in its environment'
[ "$gpus" = 0 ] && expected='gpus=<none>' || expected='gpus=<[0-9]'
matches 'it gets the requested GPUs' "$log" "$expected"

echo "acceptance: $checks checks passed"
