#!/bin/sh
# Registers every pair of /LUMIR_dataset.json; whatever follows the image's name goes to `mmreg infer` and wins.
set -eu
exec mmreg infer "${MMREG_CONFIG}" --checkpoint "${MMREG_CHECKPOINT}" --layout lumir "$@"
