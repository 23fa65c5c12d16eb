#!/usr/bin/env bash
# Installs missing packages, then starts Slurm and the API here and stays until Ctrl-C.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

case ${1:-} in
  -h | --help)
    cat <<'TEXT'
Usage: ./run.sh            install what is missing, start Slurm and the API, stay in the foreground (root)
       ./run.sh --install  install and build only

Settings are environment variables such as JR_PORT, JR_ROOT and JR_AUTH_TOKEN; docs/settings.md has them all.
They stand behind sudo, which drops those before it: sudo JR_PORT=8000 ./run.sh
JR_TORCH is for this script: none installs no PyTorch, pip the CUDA build, auto (default) Debian's if jobs find none.
TEXT
    exit 0
    ;;
  '' | --install) ;;
  *)
    echo "run.sh: unknown option $1; see ./run.sh --help" >&2
    exit 2
    ;;
esac

fail() {
  echo "run.sh: $1" >&2
  exit 2
}
[ "$(id -u)" = 0 ] || fail 'run it as root (sudo JR_… ./run.sh, settings behind sudo): each daemon gets a user of its own'
command -v apt-get >/dev/null || fail 'needs Debian 12 or 13; elsewhere use the container image (README.md)'
command -v node >/dev/null || fail 'needs Node.js 20.19 or newer'
node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' ||
  fail "needs Node.js 20.19 or newer; this is $(node --version)"

# Over an external cluster, no job runs here.
[ "${JR_SLURM_MODE:-}" != external ] || JR_TORCH=${JR_TORCH:-none}
case ${JR_TORCH:=auto} in
  auto | debian | pip | none) ;;
  *) fail 'JR_TORCH: expected auto, debian, pip or none (leave it unset for auto)' ;;
esac

docker/install-packages.sh docker/packages.txt
docker/make-users.sh
TORCH=$JR_TORCH docker/install-torch.sh

if [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo 'Installing npm packages …'
  docker/install-packages.sh docker/packages-build.txt
  npm ci --no-audit --no-fund --loglevel=error
  # After a failure here, the next start does all of it again.
  touch --date=@0 node_modules/.package-lock.json
  JOBS=max npm run --silent rebuild
  touch node_modules/.package-lock.json
fi
if [ ! -e dist/main.js ] || [ -n "$(find src tsconfig*.json package.json -newer dist/main.js -print -quit)" ]; then
  echo 'Building …'
  npm run --silent build
  chmod +x dist/main.js
  touch dist/main.js
fi

# Elsewhere than in the clone, npx would fetch somebody else's package of that name.
command=/usr/local/bin/jobrunner
if [ -e "$command" ] && [ ! -L "$command" ]; then
  echo "run.sh: $command is not ours, so it stays as it is; call this one as $PWD/dist/main.js" >&2
elif [ "$(readlink "$command")" != "$PWD/dist/main.js" ]; then
  ln -sfn "$PWD/dist/main.js" "$command"
fi

[ "${1:-}" = --install ] || exec node dist/main.js stack
