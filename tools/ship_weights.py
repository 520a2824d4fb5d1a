"""Makes a trained network one of mmreg's own: python tools/ship_weights.py NAME CHECKPOINT CARD.json

Writes ``mmreg/zoo/own_weights/NAME.safetensors`` with the weights alone and ``NAME.json`` beside it, whose text comes
from CARD.json (``mmreg.zoo.own.OwnWeights`` says which keys) and whose number of parameters is counted here. A network
with which all of them together would be larger than 6 MB is refused.
"""

import json
import sys

from mmreg.errors import CheckpointError
from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS
from mmreg.utils import console
from mmreg.utils.atomic import replacing, write_text
from mmreg.utils.checkpoint import check_architecture, read_checkpoint, weights_of
from mmreg.utils.text_files import read_json
from mmreg.zoo import own

#: Bytes of all shipped networks together.
LARGEST = 6_000_000


def ship(name: str, checkpoint: str, card: str) -> None:
    """Write the two files."""
    from safetensors.torch import save_file

    register_all_modules()
    told = dict(read_json(card))
    weights = {key: value.contiguous() for key, value in weights_of(read_checkpoint(checkpoint)).items()}
    told['parameters'] = sum(value.numel() for value in weights.values())
    others = [path.stat().st_size for path in own.FOLDER.glob('*.safetensors') if path.stem != name]
    size = sum(others) + sum(value.numel() * value.element_size() for value in weights.values())
    if size > LARGEST:
        raise CheckpointError(f'{name}: all networks together would have {size:,} bytes, expected at most {LARGEST:,}.')
    made = own.OwnWeights(name, **told)
    check_architecture(REGISTRARS.build(made.load_config().model), weights, checkpoint)
    own.FOLDER.mkdir(exist_ok=True)
    with replacing(made.file) as temporary:
        save_file(weights, str(temporary))
    write_text(made.file.with_suffix('.json'), json.dumps(told, indent=2, ensure_ascii=False) + '\n')
    print(f'{made.file}: {made.file.stat().st_size:,} bytes, {told["parameters"]:,} parameters')


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(console.run(lambda: ship(*map(str, sys.argv[1:])), debug=False))
