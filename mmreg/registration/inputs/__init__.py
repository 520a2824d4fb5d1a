"""What a user hands over: the files of a pair, images, label maps, masks and landmarks, read and checked."""

from .images import (
    Image,
    as_volume,
    check_label_sets,
    digest,
    load_image,
    load_labels,
    load_landmarks,
    load_mask,
)
from .pair import Pair, pair_name, read_pair

__all__ = [
    'Image',
    'Pair',
    'as_volume',
    'check_label_sets',
    'digest',
    'load_image',
    'load_labels',
    'load_landmarks',
    'load_mask',
    'pair_name',
    'read_pair',
]
