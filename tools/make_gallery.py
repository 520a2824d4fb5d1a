"""Make the pictures of docs/gallery.md: `python tools/make_gallery.py`, or `make gallery`.

Everything shown is drawn here: heads made of ellipsoids, no scan of anybody. Screenshots of the pages need Chromium;
without it their pictures stay as they are.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

import mmreg
from mmreg.cli import main as command
from mmreg.io import Geometry, Volume, write_displacement_image, write_volume
from mmreg.registration.results.scans import scans_of
from mmreg.visualization.field_report import report_field
from mmreg.visualization.viewer import ViewServer

TARGET = Path(__file__).parents[1] / 'docs' / 'images' / 'gallery'
#: Ellipsoids of a head: centre, radii (mm), added intensity, label.
PARTS = (
    ((0, 0, 0), (66, 84, 70), 0.35, 0),
    ((0, 0, 0), (60, 78, 64), 0.25, 1),
    ((0, 2, 4), (48, 64, 50), 0.15, 2),
    ((14, 6, 10), (9, 24, 12), -0.45, 3),
    ((-14, 6, 10), (9, 24, 12), -0.45, 3),
    ((18, -22, -14), (10, 9, 9), 0.18, 4),
    ((-20, -18, -16), (9, 11, 8), 0.18, 4),
    ((0, -44, -34), (30, 18, 16), 0.2, 5),
)
NAMES = 'index\tname\n1\tcortex\n2\twhite matter\n3\tventricles\n4\tnuclei\n5\tcerebellum\n'
#: Flat tissue has little to hold on to: the field is smoothed more than that of a brain.
STIFFER = 2.0


def head(grid: Geometry, bend: float, seed: int) -> tuple[Volume, Volume]:
    """A head and its labels, bent by smooth waves of ``bend`` mm, with noise."""
    rng = np.random.default_rng(seed)
    points = grid.voxel_to_world(np.stack(np.indices(grid.shape), -1)).astype(float)
    phases = rng.uniform(0, 2 * np.pi, (3, 3))
    moved = points + bend * np.sin(points[..., None, :] / 30 + phases).mean(-1) * 1.5
    image, labels = np.zeros(grid.shape), np.zeros(grid.shape, np.int16)
    for centre, radii, value, label in PARTS:
        distance = np.sqrt((((moved - centre) / radii) ** 2).sum(-1))
        image += value / (1 + np.exp(np.clip((distance - 1) * 40, -50, 50)))
        labels[distance < 1] = label
    return Volume((1000 * image + rng.normal(0, 12, grid.shape)).astype(np.float32), grid), Volume(labels, grid)


def write_pair(folder: Path, grids: dict[str, Geometry], bend: float, seed: int) -> None:
    """``fixed`` and ``moving`` with labels, and the names of the labels."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, grid) in enumerate(grids.items()):
        image, labels = head(grid, bend * number, seed + number)
        write_volume(folder / f'{name}.nii.gz', image)
        write_volume(folder / f'{name}_labels.nii.gz', labels)
    (folder / 'names.tsv').write_text(NAMES)


def grid_of(shape: tuple[int, int, int], step: float) -> Geometry:
    """A grid around the origin."""
    return Geometry.from_parts(shape, (step,) * 3, tuple(-(n - 1) * step / 2 for n in shape))


def register(folder: Path) -> Path:
    """The pair of a folder, registered into ``out`` beside it."""
    labels = {f'{role}_labels': folder / f'{role}_labels.nii.gz' for role in ('fixed', 'moving')}
    mmreg.register(
        folder / 'fixed.nii.gz', folder / 'moving.nii.gz', preset='brain_t1', affine='none', smoothness=STIFFER,
        label_names=folder / 'names.tsv', out_dir=folder / 'out', **labels,
    )  # fmt: skip
    return folder / 'out'


def cohort(folder: Path, count: int = 8) -> Path:
    """Pairs of a list, one of which lacks its file and one of which is far from the others."""
    grids = dict.fromkeys(('fixed', 'moving'), grid_of((34, 40, 32), 5.0))
    lines = ['fixed,moving,fixed_labels,moving_labels,case_id']
    for number in range(count):
        write_pair(folder / f'{number:02d}', grids, 30.0 if number == 5 else 4.0, 10 * number)
        files = [f'{number:02d}/{name}.nii.gz' for name in ('fixed', 'moving', 'fixed_labels', 'moving_labels')]
        lines.append(','.join([*files, f'sub-{number:02d}_to_template']))
    (folder / f'{count - 1:02d}' / 'moving.nii.gz').write_bytes(b'broken')
    (folder / 'pairs.csv').write_text('\n'.join(lines) + '\n')
    argv = ['register', '--pairs', folder / 'pairs.csv', '-o', folder / 'study', '--preset', 'brain_t1']
    command([*map(str, argv), '--affine', 'none', '--smoothness', str(STIFFER)])
    return folder / 'study'


def sliding_field(folder: Path) -> Path:
    """The figure of a made field: three slabs that slide along each other, and a fold in one of them."""
    grid = grid_of((60, 72, 20), 2.0)
    across = np.broadcast_to(np.arange(60)[:, None, None], grid.shape)
    slabs = (1 + (across > 19) + (across > 39)).astype(np.int16)
    field = np.zeros((3, *grid.shape), np.float32)
    field[1] = np.where(slabs == 2, 2.5, -2.5)
    points = np.stack(np.indices(grid.shape), -1) - (30, 50, 10)
    field[0] -= 9 * points[..., 0] / 4 * np.exp(-((points / (4, 6, 6)) ** 2).sum(-1))
    write_displacement_image(folder / 'sliding.nii.gz', field, grid)
    write_volume(folder / 'slabs.nii.gz', Volume(slabs, grid))
    report_field(folder / 'sliding.nii.gz', folder / 'slid', str(folder / 'slabs.nii.gz'))
    return folder / 'slid' / 'sliding.png'


def screenshot(address: str, name: str, size: tuple[int, int], wait: float = 0.0) -> None:
    """A picture of a page, where Chromium is installed."""
    browser = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if browser is None:
        print(f'{name}: Chromium is not installed, the picture stays as it is')
        return
    with tempfile.TemporaryDirectory() as profile:
        flags = ['--headless', '--no-sandbox', '--hide-scrollbars', f'--user-data-dir={profile}', '--use-gl=angle']
        flags += ['--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist']
        flags += [f'--virtual-time-budget={round(1000 * (wait or 8))}', f'--window-size={size[0]},{size[1]}']
        picture = Path(profile) / 'page.png'
        subprocess.run(
            [browser, *flags, f'--screenshot={picture}', address], check=True, capture_output=True, timeout=180
        )
        small(picture, name)


def small(source: Path, name: str) -> None:
    """A picture as the docs hold it: 256 colours."""
    TARGET.mkdir(parents=True, exist_ok=True)
    picture = Image.open(source).convert('RGB').quantize(256, dither=Image.Dither.NONE)
    picture.save(TARGET / f'{name}.png', optimize=True)
    print(f'{name}: {picture.size}, {(TARGET / f"{name}.png").stat().st_size / 1e3:.0f} kB')


def main(argv: list[str] | None = None) -> int:
    """Draw, register, and put all pictures into docs/images/gallery."""
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / 'heads'
        write_pair(folder, {'fixed': grid_of((56, 66, 54), 3.0), 'moving': grid_of((52, 70, 50), 3.2)}, 6.0, 1)
        out = register(folder)
        small(out / 'overview.png', 'overview')
        report_field(out / 'displacement.nii.gz', Path(name) / 'field', str(folder / 'fixed_labels.nii.gz'))
        small(next((Path(name) / 'field').glob('*.png')), 'field')
        small(sliding_field(Path(name)), '../field_with_sliding')
        screenshot((out / 'report.html').as_uri(), 'report', (1280, 1000))
        screenshot((cohort(Path(name)) / 'index.html').as_uri(), 'cohort', (1280, 1000))
        server = ViewServer('heads', scans_of(out))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        screenshot(server.url, 'view', (1280, 760), 60)
        server.shutdown()
    print(f'{time.perf_counter() - start:.0f} s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
