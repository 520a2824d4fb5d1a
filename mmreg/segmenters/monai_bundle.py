"""A segmenter from a MONAI bundle folder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmreg.errors import ConfigError, DataError
from mmreg.io import Geometry, Volume
from mmreg.registry import SEGMENTERS
from mmreg.utils.text_files import read_json

from .base import Segmenter

#: Transforms of a bundle that read or write files; everything else is run as the bundle has it.
_FILES = ('LoadImaged', 'EnsureChannelFirstd', 'SaveImaged')


@SEGMENTERS.register_module()
class MonaiBundleSegmenter(Segmenter):
    """Network, inferer and transforms of a local MONAI bundle (``wholeBody_ct_segmentation`` and others).

    Used from ``configs/inference.json`` (or ``.yaml``): ``preprocessing``, ``inferer``, ``network_def``,
    ``postprocessing``; from ``configs/metadata.json`` the names of the classes; and ``models/model.pt``, of which
    weights only are read. A bundle's config names classes and may hold expressions: it is code, like a config of ours.

    Args:
        bundle: The folder.
        device: Where the network runs.
        kwargs: See :class:`Segmenter`; ``classes`` may map names.

    Raises:
        ConfigError: the folder is no bundle.
    """

    #: A file of data may not name it.
    runs_programs = True

    def __init__(self, bundle: str, device: str = 'cpu', **kwargs: Any):
        super().__init__(**kwargs)
        self.bundle, self.device = str(bundle), device
        found = [Path(bundle) / 'configs' / f'inference.{ending}' for ending in ('json', 'yaml')]
        if not any(file.is_file() for file in found) or not (Path(bundle) / 'models' / 'model.pt').is_file():
            raise ConfigError(
                f'{bundle} is no MONAI bundle, expected configs/inference.json and models/model.pt in it.'
            )
        self._config = next(str(file) for file in found if file.is_file())

    def class_names(self) -> Mapping[int, str]:
        """Names of the network's channels, from the bundle's metadata."""
        metadata = Path(self.bundle) / 'configs' / 'metadata.json'
        if not metadata.is_file():
            return {}
        data_format = read_json(metadata, 'the metadata of a bundle', ConfigError).get('network_data_format', {})
        names = data_format.get('outputs', {}).get('pred', {}).get('channel_def', {})
        return {int(number): str(name) for number, name in names.items()}

    def settings(self) -> dict[str, Any]:
        """Those of the base, and which weights they are."""
        stat = (Path(self.bundle) / 'models' / 'model.pt').stat()
        return {**super().settings(), 'weights': [stat.st_size, stat.st_mtime_ns]}

    @cached_property
    def _parts(self) -> tuple[Any, Any, Any, Any]:
        from monai.bundle import ConfigParser

        parser = ConfigParser()
        parser.read_config(self._config)
        parser['bundle_root'] = self.bundle
        parser['device'] = f'$torch.device({self.device!r})'
        for stage in ('preprocessing', 'postprocessing'):
            steps = parser.get(f'{stage}#transforms', [])
            parser[f'{stage}#transforms'] = [step for step in steps if step.get('_target_') not in _FILES]
        network = parser.get_parsed_content('network_def').to(self.device).eval()
        weights = torch.load(Path(self.bundle) / 'models' / 'model.pt', map_location=self.device, weights_only=True)
        network.load_state_dict(weights.get('state_dict', weights))
        content = [parser.get_parsed_content(name) for name in ('preprocessing', 'inferer', 'postprocessing')]
        return network, *content

    @torch.no_grad()
    def segment(self, image: Volume, path: str, name: str) -> Volume:
        """Run the bundle's own preprocessing, network and postprocessing."""
        from monai.data import MetaTensor

        network, preprocess, inferer, postprocess = self._parts
        affine = torch.tensor(np.array(image.geometry.affine), dtype=torch.float64)
        voxels = torch.from_numpy(np.ascontiguousarray(image.channel_first()))
        data = preprocess({'image': MetaTensor(voxels, affine=affine, meta={'filename_or_obj': path})})
        data['pred'] = inferer(data['image'][None].to(self.device), network)[0].cpu()
        if not isinstance(data['pred'], MetaTensor):
            data['pred'] = MetaTensor(data['pred'], meta=data['image'].meta)
        data['pred'].applied_operations = data['image'].applied_operations
        pred = postprocess(data)['pred']
        classes = (pred.argmax(0) if pred.shape[0] > 1 else pred[0]).cpu()
        where = pred.affine if isinstance(pred, MetaTensor) else data['image'].affine
        array = classes.as_tensor().numpy() if isinstance(classes, MetaTensor) else classes.numpy()
        if array.ndim != image.geometry.ndim:
            raise DataError(
                f'{path or "the image"}: the bundle {self.bundle} gave {array.ndim} axes, expected a volume.'
            )
        return Volume(array.astype(np.int32), Geometry(array.shape, where.cpu().numpy()))
