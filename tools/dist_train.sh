#!/usr/bin/env bash
# Train on several devices of one machine (or processes of a CPU): dist_train.sh CONFIG PROCESSES [options of train.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG PROCESSES [options of train.py]" >&2
    exit 2
fi
config=$1
processes=$2
shift 2
exec torchrun --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$processes" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${MASTER_PORT:-29500}" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
