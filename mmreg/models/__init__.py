"""Models: the parts of the pipeline and the registrar that joins them."""

from . import backbones, flow_heads, integrators, losses, registrars
from .base import Backbone, FeatureSpec, Fields, FlowHead, Guidance, Integrator
from .data_preprocessor import RegDataPreprocessor
from .objective import Objective
from .registrars.registrar import Registrar

__all__ = [
    'Backbone',
    'FeatureSpec',
    'Fields',
    'FlowHead',
    'Guidance',
    'Integrator',
    'Objective',
    'RegDataPreprocessor',
    'Registrar',
    'backbones',
    'flow_heads',
    'integrators',
    'losses',
    'registrars',
]
