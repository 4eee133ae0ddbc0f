"""The detector's network: a 320x240 grey frame to two heads, 20x15 cells of 16 pixels and 10x8 cells of 32.

It reads the frame in 4x4 patches: channel 4 * dy + dx of the 80x60 input is pixel (4x + dx, 4y + dy).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from firmware.nn.pack import PATCH
from firmware.vision.detector import CHANNELS
from models.detector.data import FRAME_H, FRAME_W
from models.layers import Chain, Conv, GraphBuilder, Residual, image_quant

HEAD_EXPONENT = 4  # head outputs in sixteenths
_PRIOR_LOGIT = -4.0


def _block(channels: int) -> Residual:
    return Residual(Conv("dw3x3", channels, channels), Conv("conv1x1", channels, channels))


def _step(cin: int, cout: int, stride: int = 1) -> list[Conv]:
    return [Conv("dw3x3", cin, cin, stride), Conv("conv1x1", cin, cout)]


def _head(cin: int) -> Conv:
    """A linear 1x1 convolution; without batch normalisation, so that its bias can start at the prior."""
    head = Conv("conv1x1", cin, CHANNELS, relu=False)
    head.bn = None
    head.bias.requires_grad_(True)
    with torch.no_grad():
        head.weight.mul_(0.1)
        head.weight[-1] = 0
        head.bias[0] = _PRIOR_LOGIT
    return head


class Detector(nn.Module):
    """forward: (n, 1, 240, 320) in 0..1 to (n, 380, 16), the cells of both heads row by row."""

    def __init__(self) -> None:
        super().__init__()
        stem = [Conv("conv1x1", PATCH * PATCH, 16), *_step(16, 32, 2), *_step(32, 32), *_step(32, 64, 2)]
        self.body8 = Chain(*stem, _block(64), _block(64))
        self.head8 = Chain(*_step(64, 32), _head(32))
        self.body16 = Chain(*_step(64, 80, 2), _block(80), _block(80))
        self.head16 = _head(80)
        fine = self.body8.link(image_quant())
        self.head8.link(fine)
        self.head16.link(self.body16.link(fine))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fine = self.body8(F.pixel_unshuffle(x, PATCH).contiguous(memory_format=torch.channels_last))
        maps = self.head8(fine), self.head16(self.body16(fine))
        return torch.cat([m.permute(0, 2, 3, 1).flatten(1, 2) for m in maps], dim=1)

    def fix_heads(self) -> None:
        """After calibration: the heads' scale is part of the format, not a matter of least error."""
        for head in (self.head8[-1], self.head16):
            head.out.exponent.fill_(HEAD_EXPONENT)

    def to_graph(self, meta: dict):
        builder = GraphBuilder("detector", FRAME_H // PATCH, FRAME_W // PATCH, PATCH * PATCH)
        fine = self.body8.emit(builder, builder.input)
        small = self.head8.emit(builder, fine)
        large = self.head16.emit(builder, self.body16.emit(builder, fine))
        return builder.finish([small, large], meta)
