"""Writes what is made from the cards of the configs: python tools/make_metafile.py

metafile.yml, model-index.yml, and mmreg/zoo/counts.json with the parameters of every model.
"""

import json
from pathlib import Path

from mmreg.plugins import register_all_modules
from mmreg.zoo.cards import find_cards
from mmreg.zoo.counts import FILE, counts
from mmreg.zoo.metafile import metafile

ROOT = Path(__file__).resolve().parents[1]

if __name__ == '__main__':
    (ROOT / 'metafile.yml').write_text(metafile(), encoding='utf-8')
    (ROOT / 'model-index.yml').write_text('Import:\n  - metafile.yml\n', encoding='utf-8')
    register_all_modules()
    found = counts(card.config for card in find_cards())
    FILE.write_text(json.dumps(found, indent=1) + '\n', encoding='utf-8')
