"""Losses: how well two images, label maps, fields or point sets agree, each one scalar, lower is better."""

from .base import ImageLoss, Loss
from .consistency import ICON, Cycle, GradICON, GroupConsistency, InverseConsistency
from .correlation_ratio import CorrelationRatio
from .cross_entropy import CrossEntropy
from .dice import Dice, GeneralisedDice
from .diffusion import Diffusion
from .folding import JacobianFolding, JacobianVolume, NonDiffeomorphicVolume
from .gaussian_kl import GaussianKL
from .group_cycle import GroupCycle
from .intensity import L1, MSE, Charbonnier
from .landmarks import LandmarkDistance
from .lncc import LNCC
from .magnitude import MagnitudeBalance
from .mind import MIND, MINDSSC
from .multiscale_lncc import MultiScaleLNCC
from .mutual_information import NMI, LocalMutualInformation, MutualInformation
from .ncc import NCC
from .ngf import NGF
from .regularisers import BendingEnergy, Curvature, LinearElastic, TotalVariation
from .rigid_bodies import RigidDice, RigidField
from .rigidity import Linearity, OrthonormalityCondition, PropernessCondition

__all__ = [
    'BendingEnergy',
    'Charbonnier',
    'CorrelationRatio',
    'CrossEntropy',
    'Curvature',
    'Cycle',
    'Dice',
    'Diffusion',
    'GaussianKL',
    'GeneralisedDice',
    'GradICON',
    'GroupConsistency',
    'GroupCycle',
    'ICON',
    'ImageLoss',
    'InverseConsistency',
    'JacobianFolding',
    'JacobianVolume',
    'L1',
    'LNCC',
    'LandmarkDistance',
    'LinearElastic',
    'Linearity',
    'LocalMutualInformation',
    'Loss',
    'MIND',
    'MINDSSC',
    'MSE',
    'MagnitudeBalance',
    'MultiScaleLNCC',
    'MutualInformation',
    'NCC',
    'NGF',
    'NMI',
    'NonDiffeomorphicVolume',
    'OrthonormalityCondition',
    'PropernessCondition',
    'RigidDice',
    'RigidField',
    'TotalVariation',
]
