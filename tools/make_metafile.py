"""Writes metafile.yml and model-index.yml: python tools/make_metafile.py"""

from pathlib import Path

from mmreg.zoo.metafile import metafile

ROOT = Path(__file__).resolve().parents[1]

if __name__ == '__main__':
    (ROOT / 'metafile.yml').write_text(metafile(), encoding='utf-8')
    (ROOT / 'model-index.yml').write_text('Import:\n  - metafile.yml\n', encoding='utf-8')
