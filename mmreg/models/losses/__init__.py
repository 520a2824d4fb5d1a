"""Losses: how well two images, label maps, fields or point sets agree, each one scalar, lower is better."""

from .base import ImageLoss, Loss

__all__ = ['ImageLoss', 'Loss']
