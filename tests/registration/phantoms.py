"""Bodies known at every point of the world, drawn on any grid, and a tiny preset to register them with."""

from pathlib import Path

import numpy as np

from mmreg.io import Geometry, Volume

#: Ellipsoids: centre (mm), radii (mm), added intensity, label (0: none). No symmetry: every pose is unique.
PARTS = (
    ((0, 0, 0), (34, 26, 30), 0.5, 1),
    ((13, 6, 4), (10, 7, 9), 0.4, 2),
    ((-12, -7, 8), (8, 9, 7), -0.35, 0),
    ((-6, 9, -12), (7, 6, 6), 0.3, 0),
    ((8, -10, -9), (6, 6, 7), -0.25, 0),
)


def draw(geometry, world=None, bend=0.0, scale=1.0, seed=0, labels=False):
    """The body on a grid.

    Args:
        geometry: Grid.
        world: ``(ndim+1, ndim+1)``, body mm -> world mm: the pose of the body; None: at the origin.
        bend: mm of a smooth wave that deforms it.
        scale: Of intensities.
        seed: Of a little noise.
        labels: The label map instead of intensities.
    """
    ndim = geometry.ndim
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.shape], indexing='ij'), -1)
    points = geometry.voxel_to_world(grid)
    if world is not None:
        inverse = np.linalg.inv(world)
        points = points @ inverse[:ndim, :ndim].T + inverse[:ndim, ndim]
    points = points + bend * np.sin(np.roll(points, 1, -1) / 14.0)
    image = np.zeros(geometry.shape)
    found = np.zeros(geometry.shape, np.uint8)
    for centre, radii, value, label in PARTS:
        distance = np.sqrt((((points - centre[:ndim]) / radii[:ndim]) ** 2).sum(-1))
        image += value / (1 + np.exp(np.clip((distance - 1) * 12, -50, 50)))
        if label:
            found[distance < 1] = label
    if labels:
        return Volume(found, geometry)
    image += 0.004 * np.random.default_rng(seed).normal(size=image.shape)
    return Volume((scale * image).astype(np.float32), geometry)


def centred(shape, spacing, direction=None, centre=None):
    """A grid around the origin, or around ``centre`` (mm)."""
    grid = Geometry.from_parts(shape, spacing, direction=direction)
    origin = (np.zeros(len(shape)) if centre is None else np.asarray(centre)) - grid.centre
    return Geometry.from_parts(shape, spacing, origin, direction)


def pose(degrees, shift, ndim=3):
    """Rotation in the plane of the first two axes, then a shift, mm."""
    angle = np.deg2rad(degrees)
    matrix = np.eye(ndim + 1)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:ndim, ndim] = shift
    return matrix


#: Small and quick; the affine search is that of real presets with fewer points.
PRESET = """
model = dict(
    type='Registrar',
    backbone=dict(type='ImagePyramid', levels=1, any_size=True),
    flow_head=dict(type='FreeField', update='compose'),
    integrator=dict(type='IdentityIntegrator'),
    losses=dict(similarity=dict(type='MSE', weight=1.0)),
)
optimisation = dict(levels=[dict(scale=2, iterations=20), dict(scale=1, iterations=10)], smooth_field=1.0)
affine = dict(transform='rigid', similarity='mi', samples=3000, levels=2, iterations=30)
preset = dict(name='tiny', summary='Phantoms', suits='tests')
"""


def write_preset(folder: Path, more: str = '') -> Path:
    """The tiny preset as a file, with more lines."""
    path = folder / 'tiny.py'
    path.write_text(PRESET + more)
    return path
