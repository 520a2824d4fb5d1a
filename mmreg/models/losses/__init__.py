"""Losses: how well two images, label maps, fields or point sets agree, each one scalar, lower is better."""

from .base import ImageLoss, Loss
from .dice import Dice, GeneralisedDice
from .diffusion import Diffusion
from .intensity import L1, MSE, Charbonnier
from .lncc import LNCC

__all__ = ['LNCC', 'MSE', 'Charbonnier', 'Dice', 'Diffusion', 'GeneralisedDice', 'ImageLoss', 'L1', 'Loss']
