"""VxmDense written down again in numpy, channels last as in Keras: small files of made weights, and their fields."""

import json

import h5py
import numpy as np
from scipy.ndimage import map_coordinates

#: How Keras nested its groups: layer -> path of the group that holds its arrays, and what follows the arrays' names.
LAYOUTS = {
    'layer in layer': ('model_weights/{layer}/{layer}', ':0'),
    'layer in model': ('model_weights/vxm_dense/{layer}', ':0'),
    'weights alone': ('{layer}/{layer}', ':0'),
    'without numbers': ('model_weights/{layer}/vxm_dense/{layer}', ''),
}


def made_weights(encoder=(4, 6), decoder=(6, 6, 4), per_level=1, half=False, ndim=3, name='vxm_dense_', probable=False):
    """Kernels ``(*spatial, in, out)`` and biases of every layer, not small, so that fields are large."""
    rng = np.random.default_rng(3)
    result, channels, skips = {}, 2, []

    def layer(title, width, spread=0.4):
        nonlocal channels
        shape = (*[3] * ndim, channels, width)
        result[f'{name}{title}'] = rng.normal(0, spread / np.sqrt(channels), shape), rng.normal(0, 0.1, width)
        channels = width

    levels = len(encoder) // per_level
    for k, width in enumerate(encoder):
        layer(f'unet_enc_conv_{k // per_level}_{k % per_level}', width)
        if k % per_level == per_level - 1:
            skips.append(width)
    for k, width in enumerate(decoder[: len(encoder)]):
        level = levels - 1 - k // per_level
        layer(f'unet_dec_conv_{level}_{k % per_level}', width)
        if k % per_level == per_level - 1 and not (half and level == 0):
            channels += skips[level]
    for k, width in enumerate(decoder[len(encoder) :]):
        layer(f'unet_dec_final_conv_{k}', width)
    last = channels
    layer('flow', ndim)
    if probable:
        channels = last
        layer('log_sigma', ndim)
    return {key: tuple(np.float32(array) for array in arrays) for key, arrays in result.items()}


def write(path, weights, layout='layer in layer', config=None, class_name='VxmDense', **options):
    """A file as Keras writes it."""
    group, last = LAYOUTS[layout]
    with h5py.File(path, 'w') as file:
        for layer, (kernel, bias) in weights.items():
            place = group.format(layer=layer)
            file.create_dataset(f'{place}/kernel{last}', data=kernel, **options)
            file.create_dataset(f'{place}/bias{last}', data=bias)
            file.create_dataset(f'optimizer_weights/Adam/{layer}/kernel/m{last}', data=kernel[..., :1])
        if config is not None:
            file.attrs['model_config'] = json.dumps({'class_name': class_name, 'config': config})
    return path


def displacement(weights, moving, fixed, half=False, steps=7, downsize=2, name='vxm_dense_'):
    """What VxmDense's registration returns for two images ``(*spatial,)``: ``(*spatial, ndim)`` voxels, order ij."""

    def block(x, title):
        x = _convolved(x, *weights[f'{name}{title}'])
        return np.where(x > 0, x, 0.2 * x)

    x, skips = np.stack([moving, fixed], -1).astype(np.float64), []
    levels = 1 + max(int(key.split('_')[-2]) for key in weights if '_enc_conv_' in key)
    for level in range(levels):
        x = _all(block, x, weights, f'{name}unet_enc_conv_{level}_', name)
        skips.append(x)
        x = _pooled(x)
    for level in reversed(range(levels)):
        x = _all(block, x, weights, f'{name}unet_dec_conv_{level}_', name)
        if not (half and level == 0):
            for axis in range(x.ndim - 1):
                x = x.repeat(2, axis)
            x = np.concatenate([x, skips[level]], -1)
    x = _all(block, x, weights, f'{name}unet_dec_final_conv_', name)
    field = _convolved(x, *weights[f'{name}flow'])
    if steps == 0:
        return field
    if downsize > 1 and not half:
        field = _resized(field, [n // downsize for n in moving.shape]) / downsize
    field = field / 2**steps
    for _ in range(steps):
        field = field + _read(field, np.moveaxis(field, -1, 0) + np.indices(field.shape[:-1]))
    return _resized(field * downsize, moving.shape) if downsize > 1 else field


def _all(block, x, weights, before, name):
    for key in sorted(key for key in weights if key.startswith(before)):
        x = block(x, key.removeprefix(name))
    return x


def _convolved(x, kernel, bias):
    size = x.shape[:-1]
    padded = np.pad(x, [(1, 1)] * len(size) + [(0, 0)])
    result = np.zeros((*size, kernel.shape[-1])) + bias
    for offset in np.ndindex(*kernel.shape[:-2]):
        part = padded[tuple(slice(o, o + n) for o, n in zip(offset, size))]
        result += part @ kernel[offset].astype(np.float64)
    return result


def _pooled(x):
    for axis in range(x.ndim - 1):
        shape = (*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
        x = x.reshape(shape).max(axis + 1)
    return x


def _read(field, places):
    """Linear between voxels, the nearest value outside."""
    return np.stack([map_coordinates(part, places, order=1, mode='nearest') for part in np.moveaxis(field, -1, 0)], -1)


def _resized(field, size):
    axes = [np.linspace(0, n - 1, m) for n, m in zip(field.shape[:-1], size)]
    return _read(field, np.stack(np.meshgrid(*axes, indexing='ij')))
