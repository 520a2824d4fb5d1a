#!/usr/bin/env bash
# First minutes on a machine with a GPU: install, compare, measure; everything goes to device_check.log. Under ten minutes.
#   tools/device_check.sh FOLDER      results go to FOLDER
set -uo pipefail
if [ $# -ne 1 ]; then
    echo "usage: tools/device_check.sh FOLDER" >&2
    exit 2
fi
cd "$(dirname "$0")/.."
out="$1"
mkdir -p "$out"
log="$out/device_check.log"
python="${PYTHON:-python3}"
{
    date
    nvidia-smi || echo "no nvidia-smi"
    "$python" -c 'import torch; print(torch.__version__, torch.cuda.is_available())' || exit 1
    "$python" -m pip install --quiet --no-deps -e . || exit 1
    "$python" -m pip install --quiet triton || echo "no triton"
    echo "== the processor and the GPU agree"
    timeout 240 "$python" -m pytest -q -m gpu -p no:cacheprovider tests
    echo "== benchmark"
    MMREG_COMPILED=triton timeout 280 "$python" benchmarks/gpu.py
    date
} 2>&1 | tee "$log"
