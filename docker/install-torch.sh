#!/usr/bin/env bash
# Puts PyTorch where the templates look for it: in /opt/torch (pip), or beside the system's Python (debian), or nowhere (none).
set -euo pipefail
cd "$(dirname "$0")"

case ${TORCH:-} in
  pip)
    ./install-packages.sh <(printf '%s\n' ca-certificates python3 python3-venv)
    python3 -m venv /opt/torch
    /opt/torch/bin/pip install --no-cache-dir --disable-pip-version-check --progress-bar off \
      --index-url "$TORCH_INDEX" torch numpy
    /opt/torch/bin/python3 -c 'import torch; print("PyTorch", torch.__version__)'
    ;;
  debian)
    ./install-packages.sh <(echo python3-torch)
    ;;
  none) ;;
  *)
    echo "TORCH=${TORCH:-}: expected pip, debian or none" >&2
    exit 2
    ;;
esac
