#!/bin/sh
# Runs the container as the challenge does: docker/run.sh IMAGE JSON INPUT OUTPUT [options of mmreg infer]
# A JSON called LUMIR25_* is mounted as in 2025 (/app/...), any other as in 2024.
set -eu
if [ $# -lt 4 ]; then
    echo "usage: $0 IMAGE LUMIR_dataset.json INPUT_FOLDER OUTPUT_FOLDER [options]" >&2
    exit 2
fi
image=$1 json=$(realpath "$2") input=$(realpath "$3")
mkdir -p "$4"
output=$(realpath "$4")
shift 4
case $(basename "${json}") in
    LUMIR25*) list=/app/LUMIR25_dataset.json root=/app ;;
    *) list=/LUMIR_dataset.json root= ;;
esac
exec docker run --rm --memory 16g --shm-size 2g --network none --user "$(id -u):$(id -g)" \
    ${MMREG_GPUS:+--gpus "${MMREG_GPUS}"} \
    --volume "${json}:${list}:ro" \
    --volume "${input}:${root}/input:ro" \
    --volume "${output}:${root}/output" \
    "${image}" "$@"
