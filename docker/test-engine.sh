#!/usr/bin/env bash
# test-image.sh and test-bare.sh source this. It runs containers with Docker where a daemon answers,
# otherwise with buildah and podman (installed when missing, as root). JR_TEST_CACHE
# (/var/cache/jobrunner-test) holds base images, layers and the binary of better-sqlite3, which make
# a second run much faster. The variable `name` names the container; a volume may have the same
# name. It shares its variables and functions with the script that sources it.
# shellcheck disable=SC2034,SC2154,SC2317

test_name=$(basename "$0" .sh)
cache=${JR_TEST_CACHE:-/var/cache/jobrunner-test}
work=$(mktemp -d)
mkdir -p "$cache"
# Two at once would build over each other's layers.
exec 9>"$cache/lock"
flock --timeout 900 9 || { echo "$test_name: another run still uses $cache" >&2; exit 1; }

fail() {
  printf '%s: FAILED: %s\n' "$test_name" "$1" >&2
  shift
  [ $# = 0 ] || printf '%s\n' "$@" >&2
  ! engine container inspect "$name" >/dev/null 2>&1 || engine logs --tail 40 "$name" >&2
  exit 1
}
phase_started=$SECONDS
phase() { # prints how long the previous phase took
  [ -z "${phase_name:-}" ] || printf '== %s: %d s\n' "$phase_name" $((SECONDS - phase_started))
  phase_name=$1 phase_started=$SECONDS
}
passed() { printf 'ok     %s\n' "$1"; }

prepare_podman() {
  local network=containernetworking-plugins version run
  version=$(apt-cache policy podman 2>/dev/null | sed -n 's/ *Candidate: *\([0-9]*\).*/\1/p')
  # Podman 5 knows only netavark.
  [ "${version:-4}" -lt 5 ] || network=netavark
  docker/install-packages.sh <(printf '%s\n' buildah podman runc iptables curl jq xz-utils openssh-server "$network")
  # Podman keeps this path in its database, so it must stay the same, on a file system that a reboot
  # empties.
  run=/run/jobrunner-test-$(cksum <<<"$cache" | cut -d' ' -f1)
  mkdir -p "$run/networks"
  # The user's own containers and settings stay as they are. Podman refuses default limits above the
  # machine's own.
  cat >"$work/containers.conf" <<CONF
[containers]
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$run/libpod"
[network]
network_config_dir = "$run/networks"
CONF
  cat >"$work/policy.json" <<<'{"default":[{"type":"insecureAcceptAnything"}]}'
  export CONTAINERS_CONF=$work/containers.conf
  storage=(--root "$cache/storage" --runroot "$run/storage")
  engine_command=(podman "${storage[@]}" --runtime runc)
  # Without the lock, which the monitor of a kept container would hold.
  engine() { "${engine_command[@]}" "$@" 9>&-; }
  # A build needs no runc and no kernel namespaces: a chroot is enough.
  build() {
    buildah "${storage[@]}" bud --isolation chroot --layers --jobs 2 --format docker \
      --signature-policy "$work/policy.json" --pull-never "$@"
  }
  pull() { podman "${storage[@]}" pull --signature-policy "$work/policy.json" -q "$1"; }
}

prepare_docker() {
  engine_command=(docker)
  engine() { docker "$@"; }
  build() { docker build "$@"; }
  pull() { docker pull -q "$1"; }
}

prepare_engine() {
  if docker info >/dev/null 2>&1; then engine=docker; else engine=podman; fi
  if [ $engine = podman ] && [ "$(id -u)" != 0 ]; then
    fail 'no Docker daemon answers, and buildah with podman needs root'
  fi
  "prepare_$engine"
}

registry_answers() { curl -s -o /dev/null -m 10 https://registry-1.docker.io/v2/; }

remove_container() { # with its volume
  engine rm -f "$name" >/dev/null 2>&1 || true
  engine volume rm -f "$name" >/dev/null 2>&1 || true
}

cleanup_engine() {
  [ -z "${engine:-}" ] || remove_container
  findmnt -rno TARGET | grep -F "$cache/storage/" | sort -r | xargs -r umount 2>/dev/null || true
  ! mountpoint -q "$cache/storage/overlay" || umount "$cache/storage/overlay"
  rm -rf "$work"
}
