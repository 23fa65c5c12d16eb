#!/usr/bin/env bash
# Tests README's first screen on a bare Debian 12 without PyTorch: its two commands and five calls,
# as README.md has them. A container has a clean checkout and README's requirements: Node.js, and
# curl for the calls. It has its own network, so port 8080 is free.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

name=jobrunner-bare-$$
. docker/test-engine.sh
. docker/test-image-bases.sh
trap cleanup_engine EXIT

block() { # the code block that follows README's line with this title
  awk -v title="**$1" '
    index($0, title) == 1 { is_found = 1 }
    is_found && /^```/ { if (is_inside) exit; is_inside = 1; next }
    is_inside' README.md | grep . || fail "README.md has no code block under **$1"
}
run=$(block 'Run it here')
tests=$(block 'Run the tests')
calls=$(block 'From an archive to weights')

phase prepare
prepare_engine

phase 'base image'
if registry_answers; then
  node_image=docker.io/library/node:20-bookworm-slim
  pull "$node_image" >/dev/null
else
  make_node_base bookworm
fi
bare=localhost/jobrunner-bare:test
printf 'FROM %s\nRUN apt-get update && apt-get install -y --no-install-recommends curl\n' "$node_image" >"$work/Dockerfile.bare"
mkdir "$work/empty" "$work/checkout"
build -t "$bare" -f "$work/Dockerfile.bare" "$work/empty" >"$cache/build-bare.log" 2>&1 ||
  fail "the build failed; the end of $cache/build-bare.log:" "$(tail -n 40 "$cache/build-bare.log")"
tar --exclude=./.git --exclude=./node_modules --exclude=./dist -cf - . | tar -xf - -C "$work/checkout"
# npm uses the binary of better-sqlite3 that run_tests.sh has kept, as it would GitHub's. Without one
# it compiles.
mkdir -p "$cache/prebuilds"
container() {
  engine run -v "$work/checkout:/jobrunner" -w /jobrunner -v "$cache/prebuilds:/prebuilds:ro" \
    -e npm_config_better_sqlite3_local_prebuilds=/prebuilds "$@"
}

phase 'without PyTorch and network'
said=$(container --rm --network none -e TORCH=auto "$bare" bash -c '
  touch /dev/nvidia0
  # Without pauses in which a network may come back.
  echo "Acquire::Retries 0;" >/etc/apt/apt.conf.d/no-retries
  docker/install-torch.sh' 2>&1) ||
  fail 'if PyTorch cannot be installed, install-torch.sh ends with an error' "$said"
[[ $said == *'JR_TORCH=none leaves it out'*'JR_TORCH=pip ./run.sh puts the CUDA build'*'PyTorch could not be installed'* ]] ||
  fail 'install-torch.sh names no remedy for a GPU, or for a missing network' "$said"
passed 'with a GPU the CUDA build is named; without a network the start continues'

phase "$run"
container -d --name "$name" --stop-signal INT "$bare" bash -c "$run" >/dev/null
deadline=$((SECONDS + 900))
until [[ $(engine logs "$name" 2>&1) == *'JobRunner is ready'* ]]; do
  [ "$(engine inspect -f '{{.State.Running}}' "$name")" = true ] || fail 'the container ended'
  ((SECONDS < deadline)) || fail 'it was not ready within 15 minutes'
  sleep 0.5
done
size='[0-9.]+ [kMG]?B'
engine logs "$name" 2>&1 | grep -E "^Installing python3-torch \($size(/$size)? to download\) …$" ||
  fail 'it did not print the size of the download of PyTorch'
passed 'it starts, with PyTorch'

phase 'the five calls'
engine exec -w /root "$name" bash -euo pipefail -c "$calls" >"$work/replies" 2>"$work/stderr" ||
  fail 'a call failed' "$(cat "$work/replies" "$work/stderr")"
# README shows omitted text as "…"; digest and size change with the archive's date.
rest=$(tr '\n' ' ' <"$work/replies")
while read -r part; do
  [[ $rest == *"$part"* ]] || fail "README.md shows this in a reply, which is not there: $part" "$(cat "$work/replies")"
  rest=${rest#*"$part"}
done < <(sed -nE 's/^# //p' <<<"$calls" | sed -E 's/"sha256": "[^"]*"/…/; s/"size": [0-9]+/…/; s/ *… */\n/g')
engine exec -w /root "$name" python3 -c 'import torch; assert torch.load("model.pth")' || fail 'model.pth holds no weights'
passed 'they answer as README shows, and leave weights that PyTorch loads'

[[ $(engine exec -w /root "$name" jobrunner jobs) == *pytorch_example* ]] ||
  fail 'jobrunner is not on the PATH, or does not list the job'
passed 'jobrunner is on the PATH'

[[ $(engine exec "$name" bash -c "$tests --help") == "Usage: $tests "* ]] || fail "\"$tests\" does not print its help"
passed "the tests' command is there"

phase 'stop'
engine stop -t 30 "$name" >/dev/null
code=$(engine inspect -f '{{.State.ExitCode}}' "$name")
[ "$code" = 0 ] || fail "it ended with $code on Ctrl-C, expected 0"
passed 'Ctrl-C ends it with exit code 0'
phase end
echo 'test-bare: passed'
