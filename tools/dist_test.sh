#!/usr/bin/env bash
# Test on several devices of one machine (or processes of a CPU): dist_test.sh CONFIG CHECKPOINT PROCESSES [options of test.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT PROCESSES [options of test.py]" >&2
    exit 2
fi
config=$1
checkpoint=$2
processes=$3
shift 3
exec torchrun --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$processes" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${MASTER_PORT:-29500}" \
    "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
