#!/usr/bin/env bash
# Runs the tests; installs what they need first.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

usage() {
  cat <<'TEXT'
Usage: ./run_tests.sh                         everything, from a bare machine (root)
       ./run_tests.sh PART                    one part of it: lint, jest, native, bare, image
       ./run_tests.sh acceptance URL [TOKEN]  only the acceptance, against a running service; TOKEN or JR_AUTH_TOKEN

lint        formatter, linters (shellcheck, too), types, and the house's own rules (test/house)
jest        unit, API, archives, S3 (a real Ceph RGW), and whole stacks with a real Slurm; further arguments go to jest
native      ./run.sh in a folder of its own, the acceptance against it, Ctrl-C
bare        README's commands and calls on a Debian without PyTorch, in a container (Docker, or podman)
image       builds the image and runs the acceptance against it, with Docker, or with buildah and podman
TEXT
}

part() { printf '\n== %s (%d s)\n' "$1" $SECONDS; }

cache=${JR_TEST_CACHE:-/var/cache/jobrunner-test}
# prebuild-install, which npm calls, takes a binary of better-sqlite3 from here instead of GitHub.
export npm_config_better_sqlite3_local_prebuilds=$cache/prebuilds

# Compiling takes most of an installation, so a whole run does it once, and the next one not at all.
keep_prebuild() {
  local package=node_modules/better-sqlite3 name
  name=$(cd $package && node -p '`better-sqlite3-v${require("./package.json").version}-node-v${process.versions.modules}-linux-${process.arch}.tar.gz`')
  [ ! -e "$cache/prebuilds/$name" ] || return 0
  mkdir -p "$cache/prebuilds"
  tar -C $package -czf "$cache/prebuilds/$name.new" build/Release/better_sqlite3.node
  mv "$cache/prebuilds/$name.new" "$cache/prebuilds/$name"
}

install() {
  [ "$(id -u)" = 0 ] || { echo 'run_tests.sh: run it as root: the stack gives each daemon a user of its own' >&2; exit 2; }
  part 'install and build'
  docker/install-packages.sh test/packages.txt
  ./run.sh --install
  keep_prebuild
}

# Advisories about the packages that are shipped, where the registry answers with them.
audit() {
  local report found
  report=$(npm audit --omit=dev --json 2>/dev/null) || true
  found=$(node -p 'JSON.parse(process.argv[1]).metadata?.vulnerabilities.total ?? "none"' "${report:-{\}}")
  case $found in
    0) ;;
    none) echo 'run_tests.sh: this registry answers no audit, so advisories stay unchecked' ;;
    *)
      npm audit --omit=dev
      exit 1
      ;;
  esac
}

lint() {
  part 'formatter, linters, types'
  audit
  npm run --silent lint
  test/shellcheck.sh
  npm run --silent typecheck
  run_jest test/house
}

run_jest() {
  part 'jest'
  # Tests of whole stacks mostly wait, so more of them run at once than there are processors.
  NODE_OPTIONS='--experimental-vm-modules --disable-warning=ExperimentalWarning' npx jest --maxWorkers=5 "$@"
}

native() {
  part 'native: ./run.sh and the acceptance'
  local root port controller_port node_port accounting_port token=native-test-token log pid code=0
  root=$(mktemp -d /tmp/jr-native-XXXXXX)
  log=$root.log
  : >"$log"
  chmod 755 "$root"
  # The block of ports stays reserved while this process lives.
  coproc ports { exec node --input-type=module -e '
    import { freePorts } from "./test/free-ports.js";
    console.log((await freePorts(4)).join(" "));
    process.stdin.resume();'; }
  read -r port controller_port node_port accounting_port <&"${ports[0]}"
  env JR_ROOT="$root" JR_HOST=127.0.0.1 JR_PORT="$port" JR_AUTH_TOKEN=$token JR_SIMULATE_GPUS=1 \
    JR_SLURMCTLD_PORT="$controller_port" JR_SLURMD_PORT="$node_port" JR_SLURMDBD_PORT="$accounting_port" \
    ./run.sh >"$log" 2>&1 &
  pid=$!
  trap 'kill -INT $pid 2>/dev/null || true' EXIT
  until grep -q 'JobRunner is ready' "$log"; do
    kill -0 $pid 2>/dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.2
  done
  test/acceptance.sh "http://127.0.0.1:$port" "$token" || code=$?
  kill -TERM $pid
  wait $pid || { echo "run_tests.sh: ./run.sh ended with $? on SIGTERM, expected 0" >&2; code=1; }
  trap - EXIT
  kill "${ports_PID:?}"
  rm -rf "$root" "$log"
  return $code
}

bare() {
  part "bare: README's first screen"
  docker/test-bare.sh
}

image() {
  part 'image'
  docker/test-image.sh
}

case ${1:-} in
  '')
    cd "$here"
    install
    lint
    run_jest
    native
    bare
    image
    part 'all passed'
    ;;
  acceptance)
    [ $# -ge 2 ] || { usage >&2; exit 2; }
    token=${3:-${JR_AUTH_TOKEN:-}}
    [ -n "$token" ] || { echo 'run_tests.sh: name the token: ./run_tests.sh acceptance URL TOKEN' >&2; exit 2; }
    exec "$here/test/acceptance.sh" "$2" "$token"
    ;;
  lint | native | bare | image)
    cd "$here"
    install
    "$1"
    ;;
  jest)
    cd "$here"
    install
    run_jest "${@:2}"
    ;;
  -h | --help) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
