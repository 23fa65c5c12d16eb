#!/usr/bin/env bash
# test-image.sh sources this: jobs that depend on the behaviour of the image's Slurm release. The
# native tests have another release, and check more. It needs three GPUs, and shares its variables
# with the script that sources it.
# shellcheck disable=SC2034,SC2154

awaits() { # job, condition in jq's words, what is waited for
  local deadline=$((SECONDS + 120))
  until api "/jobs/$1" | jq -e "$2" >/dev/null; do
    ((SECONDS < deadline)) || fail "job $1: $3" "$(api "/jobs/$1")" "$(api "/jobs/$1/log")"
    sleep 0.2
  done
}
awaits_nodes() { # condition in jq's words, what to say when it does not come true
  local deadline=$((SECONDS + 120))
  # slurmctld does not answer while it adds or removes nodes.
  until api /nodes 2>/dev/null | jq -e "$1" >/dev/null; do
    ((SECONDS < deadline)) || fail "$2" "$(api /nodes)"
    sleep 0.2
  done
}
cancel() {
  local job
  for job; do api "/jobs/$job/cancel" -X POST >/dev/null; done
}

check_fractions() {
  local first second id
  first=$(submit 'echo "$CUDA_VISIBLE_DEVICES $JR_GPU_FRACTION"; sleep 600' -F gpus=0.5 -F allowed_gpus=2)
  second=$(submit 'sleep 600' -F gpus=0.5 -F allowed_gpus=2)
  for id in "$first" "$second"; do
    awaits "$id" '.status == "RUNNING" and .gpu_indices == [2]' 'expected it to have half of GPU 2'
  done
  [ "$(api "/jobs/$first/log")" = '2 0.500000' ] || fail 'the job did not get its half of GPU 2' "$(api "/jobs/$first/log")"
  id=$(submit 'sleep 600' -F gpus=0.3)
  awaits "$id" '.status == "RUNNING" and (.gpu_indices | length == 1)' 'expected to be told which GPU Slurm has chosen'
  cancel "$first" "$second" "$id"
  awaits "$second" '.status == "CANCELLED" and .failure == "cancelled"' 'expected it to be cancelled'
  passed 'two jobs share a GPU, and a third has the one that Slurm chose'
}

check_move() {
  local on=() there gpu id
  for gpu in 0 1; do on+=("$(submit 'sleep 600' -F gpus=1 -F allowed_gpus=$gpu)"); done
  for id in "${on[@]}"; do awaits "$id" '.status == "RUNNING"' 'expected it to run'; done
  id=$(submit 'echo "$CUDA_VISIBLE_DEVICES" >>runs' -F gpus=1 -F allowed_gpus=0-1)
  awaits "$id" '.status == "PENDING" and .reason != null' 'expected it to wait'
  there=$(api "/jobs/$id" | jq '1 - (.gres | capture("nvidia(?<i>[0-9])").i | tonumber)')
  cancel "${on[there]}"
  awaits "$id" '.status == "COMPLETED"' 'expected it to run on the GPU that is free'
  [ "$(api "/outputs/download_by_job?job_id=$id&rel_path=runs")" = "$there" ] || fail "job $id: expected one run, on GPU $there" "$(api "/jobs/$id")"
  cancel "${on[1 - there]}"
  passed "a waiting job moves to the other GPU that it may have (GPU $there)"
}

check_pause() {
  local id
  api /gpus/1/pause --data-urlencode 'reason=a loud fan' >/dev/null
  id=$(submit 'echo "$CUDA_VISIBLE_DEVICES"' -F gpus=0.3 -F allowed_gpus=1)
  awaits "$id" '.status == "PENDING" and (.reason_text // "" | test("GPU 1 is paused by admin .a loud fan"))' 'expected it to wait for the paused GPU'
  api /gpus | jq -e '.gpus[1] | .state == "paused" and .paused.reason == "a loud fan"' >/dev/null || fail 'GPU 1 is not shown as paused' "$(api /gpus)"
  api /gpus/1/resume -X POST >/dev/null
  awaits "$id" '.status == "COMPLETED"' 'expected it to run on the resumed GPU'
  [ "$(api "/jobs/$id/log")" = 1 ] || fail "job $id: expected it to run on GPU 1" "$(api "/jobs/$id/log")"
  passed 'a GPU is paused and resumed'
}

# --- An SSH host: an sshd of our own on this machine, reached from the container

start_sshd() { # folder
  mkdir -p "$1" && ssh-keygen -q -t ed25519 -N '' -f "$1/id" && ssh-keygen -q -t ed25519 -N '' -f "$1/host_key"
  cp "$1/id.pub" "$1/authorized_keys"
  # Its folder for privilege separation, fixed when sshd was built.
  [ "$(id -u)" != 0 ] || mkdir -p /run/sshd
  # The two GPUs that the host is to have.
  mkdir "$1/bin"
  printf '#!/bin/sh\nfor i in 0 1; do echo "81920, NVIDIA H100"; done\n' >"$1/bin/nvidia-smi"
  chmod +x "$1/bin/nvidia-smi"
  cat >"$1/sshd_config" <<CONF
ListenAddress $host_address:$host_port
HostKey $1/host_key
PidFile $1/pid
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
AllowUsers $host_user
AuthorizedKeysFile $1/authorized_keys
SetEnv PATH=$1/bin:/usr/local/bin:/usr/bin:/bin
CONF
  # Detaches once it listens.
  /usr/sbin/sshd -f "$1/sshd_config" -E "$1/log" || fail 'sshd did not start' "$(cat "$1/log")"
}

stop_sshd() { # folder
  [ ! -e "$1/pid" ] || kill "$(cat "$1/pid")"
}

check_ssh_host() {
  local folder=$work/ssh host_user host_port=$((port + 1)) host_address id
  host_user=$(id -un)
  host_address=$(engine inspect -f '{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}' "$name")
  start_sshd "$folder"
  engine exec -i "$name" sh -c 'umask 077; cat >/root/ssh_key' <"$folder/id"
  engine exec "$name" jobrunner node add far "$host_user@$host_address:$host_port" --identity /root/ssh_key --workdir "$folder/host" \
    --gpus 2 --gpu-memory 80 --cpus 4 --memory 8 --yes >"$folder/add" 2>&1 || fail 'the SSH host was not added' "$(cat "$folder/add")"
  awaits_nodes 'any(.nodes[]; .name == "far" and .state == "idle" and .ssh.reachable)' 'the SSH host has not come'
  id=$(submit 'id -un; echo "$CUDA_VISIBLE_DEVICES"; echo weights >model.pt; exit 3' -F gpus=2 -F partition=ssh)
  awaits "$id" '.status == "FAILED" and .exit_code == 3 and .node == "far"' 'expected exit code 3 from the SSH host'
  [ "$(api "/jobs/$id/log")" = "$host_user"$'\n0,1' ] || fail 'the log of the job on the SSH host is not as expected' "$(api "/jobs/$id/log")"
  [ "$(api "/outputs/download_by_job?job_id=$id&rel_path=model.pt")" = weights ] || fail 'the output did not come from the SSH host'
  id=$(submit 'echo begun; sleep 600' -F gpus=0.5 -F partition=ssh)
  until [ "$(api "/jobs/$id/log")" = begun ]; do awaits "$id" '.status | IN("PENDING", "RUNNING")' 'expected it to run on'; sleep 0.2; done
  cancel "$id"
  awaits "$id" '.status == "CANCELLED"' 'expected it to be cancelled on the SSH host'
  passed 'jobs run on an SSH host, return their outputs, and can be cancelled there'
  check_users_any_place far "$host_user"
  engine exec "$name" jobrunner node remove far >/dev/null
  awaits_nodes 'all(.nodes[]; .name != "far")' 'the SSH host has not left'
  stop_sshd "$folder"
  passed 'an SSH host is removed'
}

# --- A queue in a git repository in the container, whose address the start has named

queue_url=file:///srv/queue.git

check_git_queue() {
  local deadline=$((SECONDS + 90)) listed
  engine exec "$name" sh -ec "git init -q --bare --initial-branch=main ${queue_url#file://} && chown -R jobrunner: ${queue_url#file://}"
  engine exec "$name" runuser -u jobrunner -- env HOME=/tmp/queue-user sh -ec '
    mkdir "$HOME" && cd "$HOME"
    git clone -q "$1" queue 2>/dev/null && cd queue
    echo "import sys; print(sys.argv[1:])" >dummy.py
    git add dummy.py
    git -c user.name=test -c user.email=test@localhost commit -q -m script
    git push -q origin HEAD:main
    jobrunner queue add "dummy.py 1 --cheese=\"on,toast\""' sh "$queue_url" >"$work/queue" 2>&1 ||
    fail 'a job could not be added to the git queue' "$(cat "$work/queue")"
  until
    listed=$(engine exec "$name" runuser -u jobrunner -- env HOME=/tmp/queue-user jobrunner queue list --repo "$queue_url" --json)
    jq -e '.[0].status == "run"' <<<"$listed" >/dev/null
  do
    ((SECONDS < deadline)) || fail 'the job of the git queue did not run within 90 s' "$listed" "$(api /ingest)"
    sleep 0.5
  done
  passed 'a job of a git queue runs'
}
