#!/usr/bin/env bash
# Installs PyTorch where jobs find it, by the value of TORCH:
#   auto    Debian's package, unless the jobs' Python finds a PyTorch; a failure is printed and is no error
#   debian  Debian's python3-torch, for CPUs
#   pip     PyTorch with CUDA from TORCH_INDEX, in the virtual environment /opt/torch
#   none    nothing
set -euo pipefail
cd "$(dirname "$0")"

# The PATH of jobs (src/jobs/script/environment.ts).
jobs_path=/opt/torch/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
python=$(PATH=$jobs_path command -v python3 || echo /usr/bin/python3)
has_torch() { # a Python; packages of root's own are not the jobs'
  env -i "$1" -s -c 'import importlib.util as util, sys; sys.exit(util.find_spec("torch") is None)' 2>/dev/null
}
has_nvidia_gpu() { [ -e /dev/nvidia0 ] || [ -d /proc/driver/nvidia/gpus ] || nvidia-smi -L >/dev/null 2>&1; }

install_debian() { ./install-packages.sh <(echo python3-torch); }

install_pip() {
  ! has_torch /opt/torch/bin/python3 || return 0
  ./install-packages.sh <(printf '%s\n' ca-certificates python3 python3-venv)
  python3 -m venv /opt/torch
  /opt/torch/bin/pip install --no-cache-dir --disable-pip-version-check --progress-bar off \
    --index-url "${TORCH_INDEX:-https://download.pytorch.org/whl/cu128}" torch numpy
  /opt/torch/bin/python3 -c 'import torch; print("PyTorch", torch.__version__)'
}

install_where_missing() {
  ! has_torch "$python" || return 0
  if [ "$python" != /usr/bin/python3 ]; then
    echo "PyTorch is missing: jobs run $python, which does not find Debian's; JR_TORCH=pip ./run.sh puts one into /opt/torch"
    return
  fi
  echo "PyTorch is missing: adding Debian's, for CPUs (JR_TORCH=none leaves it out)"
  if has_nvidia_gpu; then
    echo "It does not use this machine's NVIDIA GPU: JR_TORCH=pip ./run.sh puts the CUDA build, some gigabytes, into /opt/torch"
  fi
  install_debian || echo 'PyTorch could not be installed: jobs that need it will fail; the next start tries again' >&2
}

case ${TORCH:-} in
  auto) install_where_missing ;;
  debian) install_debian ;;
  pip) install_pip ;;
  none) ;;
  *)
    echo "TORCH=${TORCH:-}: expected auto, debian, pip or none" >&2
    exit 2
    ;;
esac
