#!/bin/sh
# Runs the container as the challenge does: docker/run.sh IMAGE JSON INPUT OUTPUT [options of mmreg infer]
set -eu
if [ $# -lt 4 ]; then
    echo "usage: $0 IMAGE LUMIR_dataset.json INPUT_FOLDER OUTPUT_FOLDER [options]" >&2
    exit 2
fi
image=$1 json=$(realpath "$2") input=$(realpath "$3")
mkdir -p "$4"
output=$(realpath "$4")
shift 4
exec docker run --rm --memory 16g --shm-size 2g --network none \
    ${MMREG_GPUS:+--gpus "${MMREG_GPUS}"} \
    --volume "${json}:/LUMIR_dataset.json:ro" \
    --volume "${input}:/input:ro" \
    --volume "${output}:/output" \
    "${image}" "$@"
