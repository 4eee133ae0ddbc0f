"""The embedder's architecture: 96x96 grey in, 128 linear outputs compared by cosine."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from models.data import FACE_SIDE
from models.layers import Chain, Conv, GraphBuilder, Linear, Residual, image_quant

EMBEDDING = 128


@dataclass(frozen=True)
class Shape:
    """Channels and residual blocks at 24x24, 12x12 and 6x6, and the channels before the last layer.

    More than 64 channels at 24x24 do not fit the arena of 128 KB.
    """

    stages: tuple[tuple[int, int], ...]
    neck: int


SHAPES = {
    "small": Shape(((64, 3), (128, 5), (192, 3)), 64),  # 31 MMAC, 577 KB
    "wide": Shape(((64, 13), (160, 7), (192, 3)), 32),  # 73 MMAC, 589 KB: about what the panel allows
}


class Embedder(nn.Module):
    def __init__(self, shape: str = "small") -> None:
        super().__init__()
        layers: list[nn.Module] = [
            Conv("conv3x3", 1, 16, stride=2),
            Conv("dw3x3", 16, 16),
            Conv("conv1x1", 16, 32),
        ]
        width = 32
        for channels, blocks in SHAPES[shape].stages:
            layers += [Conv("dw3x3", width, width, stride=2), Conv("conv1x1", width, channels)]
            layers += [
                Residual(Conv("dw3x3", channels, channels), Conv("conv1x1", channels, channels)) for _ in range(blocks)
            ]
            width = channels
        side, neck = FACE_SIDE // 16, SHAPES[shape].neck
        layers += [Conv("conv1x1", width, neck), Linear(neck, side, side, EMBEDDING)]
        self.layers = Chain(*layers)
        self.layers.link(image_quant())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """pixels: float [n, 1, 96, 96], grey value / 256."""
        return self.layers(pixels)

    def graph(self, meta: dict):
        builder = GraphBuilder("embedder", FACE_SIDE, FACE_SIDE)
        return builder.finish([self.layers.emit(builder, builder.input)], meta)
