"""The embedder's architecture: 96x96 grey in, 128 linear outputs compared by cosine."""

from __future__ import annotations

import torch
from torch import nn

from models.data import FACE_SIDE
from models.layers import Chain, Conv, GraphBuilder, Linear, Residual, image_quant

EMBEDDING = 128
_STAGES = ((64, 3), (128, 5), (192, 3))  # channels and residual blocks at 24x24, 12x12, 6x6


class Embedder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            Conv("conv3x3", 1, 16, stride=2),
            Conv("dw3x3", 16, 16),
            Conv("conv1x1", 16, 32),
        ]
        width = 32
        for channels, blocks in _STAGES:
            layers += [Conv("dw3x3", width, width, stride=2), Conv("conv1x1", width, channels)]
            layers += [
                Residual(Conv("dw3x3", channels, channels), Conv("conv1x1", channels, channels)) for _ in range(blocks)
            ]
            width = channels
        side = FACE_SIDE // 16
        layers += [Conv("conv1x1", width, 64), Linear(64, side, side, EMBEDDING)]
        self.layers = Chain(*layers)
        self.layers.link(image_quant())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """pixels: float [n, 1, 96, 96], grey value / 256."""
        return self.layers(pixels)

    def graph(self, meta: dict):
        builder = GraphBuilder("embedder", FACE_SIDE, FACE_SIDE)
        return builder.finish([self.layers.emit(builder, builder.input)], meta)
