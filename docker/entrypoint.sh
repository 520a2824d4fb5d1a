#!/bin/sh
# Registers every pair of the JSON that the challenge mounts; what follows the image's name goes to `mmreg infer` and wins.
set -eu
exec mmreg infer "${MMREG_CONFIG}" --checkpoint "${MMREG_CHECKPOINT}" --layout lumir "$@"
