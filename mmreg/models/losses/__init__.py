"""Losses: how well two images, label maps, fields or point sets agree, each one scalar, lower is better."""

from .base import ImageLoss, Loss
from .dice import Dice, GeneralisedDice
from .diffusion import Diffusion

__all__ = ['Dice', 'Diffusion', 'GeneralisedDice', 'ImageLoss', 'Loss']
