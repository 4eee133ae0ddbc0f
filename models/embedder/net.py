"""The embedder's architecture: 96x96 grey in, 128 linear outputs compared by cosine.

MobileFaceNet's, cut to what the panel holds: linear bottlenecks (widen, 3x3 depthwise, narrow without ReLU) on streams
of 64, 128 and 128 channels at 24x24, 12x12 and 6x6, so that a training can begin with the teacher's own weights
(models/embedder/inherit.py).
"""

from __future__ import annotations

import torch
from torch import nn

from models.data import FACE_SIDE
from models.layers import Chain, Conv, GraphBuilder, Linear, Residual, image_quant

EMBEDDING = 128
STEM = 32
ENTRY = 48  # channels that go from 48x48 to 24x24; more do not fit the arena of 128 KB
STAGES = (  # residual bottlenecks of one stream: how many, stream, inner channels, those of the step to the next stream
    (4, 64, 80, 128),
    (6, 128, 176, 208),
    (2, 128, 112, 0),
)
TAIL = 144  # channels at the end, 3x3 of each
LAST = 64  # of them all, linear combinations that the last layer looks at


def _bottleneck(cin: int, inner: int, cout: int, stride: int = 1) -> list[Conv]:
    return [
        Conv("conv1x1", cin, inner),
        Conv("dw3x3", inner, inner, stride=stride),
        Conv("conv1x1", inner, cout, relu=False),
    ]


class Embedder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            Conv("conv3x3", 1, STEM, stride=2),
            Conv("dw3x3", STEM, STEM),
            Conv("conv1x1", STEM, ENTRY),
            Conv("dw3x3", ENTRY, ENTRY, stride=2),
            Conv("conv1x1", ENTRY, STAGES[0][1], relu=False),
        ]
        for place, (blocks, stream, inner, step) in enumerate(STAGES):
            layers += [Residual(*_bottleneck(stream, inner, stream)) for _ in range(blocks)]
            if step:
                layers += _bottleneck(stream, step, STAGES[place + 1][1], 2)
        layers += [
            Conv("conv1x1", STAGES[-1][1], TAIL),
            Conv("dw3x3", TAIL, TAIL, stride=2),
            Conv("conv1x1", TAIL, LAST, relu=False),
        ]
        side = FACE_SIDE // 32
        self.layers = Chain(*layers, Linear(LAST, side, side, EMBEDDING))
        self.layers.link(image_quant())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """pixels: float [n, 1, 96, 96], grey value / 256."""
        return self.layers(pixels)

    def graph(self, meta: dict):
        builder = GraphBuilder("embedder", FACE_SIDE, FACE_SIDE)
        return builder.finish([self.layers.emit(builder, builder.input)], meta)
