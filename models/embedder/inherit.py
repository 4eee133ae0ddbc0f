"""The embedder's start: MobileFaceNet's own weights, cut to the embedder's size, so that less is left to learn.

The teacher (its origin and terms: card.md) is a chain of the same kind of blocks, with more inner channels. From the
entrance on, each part is made to give what the teacher's part gives, on what the student's earlier parts give it:
the stem by a few hundred steps of gradient descent; each bottleneck by keeping the inner channels that matter most and
narrowing them by least squares; the last two layers by ridge regression onto the teacher's embeddings.

The student looks at the 96x96 middle of the teacher's 112x112, and pads its strides at the far edge alone. Its first
three strides fall on the teacher's grid; at the fourth the teacher's blocks are carried out on the student's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from models import layers
from models.embedder.augment import piece
from models.embedder.net import Embedder
from models.embedder.teachers import MEAN, STD
from models.layers import Conv, Linear, pad_same
from models.onnx_torch import OnnxModule

Weights = tuple[torch.Tensor, torch.Tensor]  # of a convolution, and its biases
BLOCKS = 15
STRIDES = (0, 5, 12)  # blocks that halve the map and begin a new stream; all others are residual
_CUTS = ((3, 27), (2, 14))  # the student's part of the teacher's maps of 28 and 14
_STEM_STEPS, _STEM_RATE, _STEM_BATCH = 260, 8e-3, 48
_BLOCK_FACES, _HEAD_FACES = 448, 6000
_NORM = 11.0  # of the embeddings: fills int8 at scale 2**-4
_PART = 64


@dataclass
class Teacher:
    """MobileFaceNet's convolutions, normalisation folded."""

    first: Weights
    depthwise: Weights
    pointwise: Weights
    blocks: list[tuple[Weights, Weights, Weights]]
    widen: Weights
    whole: Weights  # depthwise over the whole map
    last: Weights

    @classmethod
    def of(cls, convolutions: Sequence[Weights]) -> Teacher:
        """ValueError when these are not as many as MobileFaceNet has."""
        if len(convolutions) != 3 + 3 * BLOCKS + 3:
            raise ValueError(f"{len(convolutions)} convolutions are not MobileFaceNet's")
        first, depthwise, pointwise = convolutions[:3]
        blocks = [tuple(convolutions[3 + 3 * n : 6 + 3 * n]) for n in range(BLOCKS)]
        return cls(first, depthwise, pointwise, blocks, *convolutions[3 + 3 * BLOCKS :])

    @classmethod
    def read(cls, path: Path) -> Teacher:
        return cls.of(OnnxModule(path).convolutions())

    @torch.no_grad()
    def entrance(self, pixels: torch.Tensor) -> torch.Tensor:
        """Grey / 256 [n, 1, 112, 112] to the first stream [n, 64, 28, 28]."""
        mean, std = (torch.from_numpy(v).view(1, 3, 1, 1) for v in (MEAN, STD))
        x = F.conv2d((pixels * (256 / 255) - mean) / std, *self.first, stride=2, padding=1).clamp(0, 6)
        x = F.relu(F.conv2d(x, *self.depthwise, padding=1, groups=len(self.depthwise[0])))
        return self._block(0, F.relu(F.conv2d(x, *self.pointwise)), _near_edge)

    @torch.no_grad()
    def maps(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """What each block gives, where the student has its own maps."""
        x = self.entrance(pixels)
        found = [_cut(x, 0)]
        for place in range(1, BLOCKS):
            last = place >= STRIDES[2]
            if place == STRIDES[2]:
                x = x[:, :, _CUTS[1][0] :, _CUTS[1][0] :]  # the far edge reaches as far as the teacher's does
            x = self._block(place, x, _far_edge if last else _near_edge)
            found.append(x if last else _cut(x, int(place >= STRIDES[1])))
        return found

    def _block(self, place: int, x: torch.Tensor, depthwise: Callable) -> torch.Tensor:
        widen, middle, narrow = self.blocks[place]
        inner = F.conv2d(x, *widen).clamp(0, 6)
        y = F.conv2d(depthwise(inner, middle, 2 if place in STRIDES else 1), *narrow)
        return y if place in STRIDES else x + y


def _cut(x: torch.Tensor, level: int) -> torch.Tensor:
    low, high = _CUTS[level]
    return x[:, :, low:high, low:high]


def _near_edge(x: torch.Tensor, weights: Weights, stride: int) -> torch.Tensor:
    """The teacher's depthwise convolution, padded at all edges."""
    return F.conv2d(x, *weights, stride=stride, padding=1, groups=x.shape[1]).clamp(0, 6)


def _far_edge(x: torch.Tensor, weights: Weights, stride: int) -> torch.Tensor:
    """The same as the student pads it."""
    x, padding = pad_same(x, stride)
    return F.conv2d(x, *weights, stride=stride, padding=padding, groups=x.shape[1]).clamp(0, 6)


def inherit(net: Embedder, teacher: Teacher, images: torch.Tensor, embeddings: torch.Tensor, seed: int) -> None:
    """`net`, as made, becomes a folded net with the teacher's knowledge.

    images: uint8 [n, 112, 112]; embeddings: the teacher's of them, unit [n, 128].
    """
    rng = torch.Generator().manual_seed(seed)
    chain = list(net.layers)
    stem, tail = nn.Sequential(*chain[:5]), chain[-4:]
    _learn_stem(stem, teacher, images, rng)
    layers.fold(net)
    net.eval()
    with torch.no_grad():
        pixels = _pixels(images[torch.randperm(len(images), generator=rng)[:_BLOCK_FACES]])
        wanted = [torch.cat(parts) for parts in zip(*map(teacher.maps, pixels.split(_PART)), strict=True)]
        x = torch.cat([stem(part) for part in piece(pixels).split(_PART)])
        place, at = 1, 5
        while place < BLOCKS:
            convs = chain[at : at + 3] if place in STRIDES else list(chain[at].body)
            x, error = _take_block(convs, teacher.blocks[place], x, wanted[place], place not in STRIDES)
            print(f"\rinherited block {place} of {BLOCKS - 1}: error {error:.3f}", end="", file=sys.stderr, flush=True)
            place, at = place + 1, at + (3 if place in STRIDES else 1)
        print(file=sys.stderr)
        _take_tail(tail, teacher, x)
        rows = torch.randperm(len(images), generator=rng)[:_HEAD_FACES]
        body = nn.Sequential(*chain[:-2])
        features = torch.cat([body(piece(_pixels(images[part]))) for part in rows.split(_PART)])
        _take_last(tail[2], tail[3], features, embeddings[rows] * _NORM)


def _pixels(images: torch.Tensor) -> torch.Tensor:
    return (images[:, None].float() / 256).contiguous(memory_format=torch.channels_last)


def _learn_stem(stem: nn.Sequential, teacher: Teacher, images: torch.Tensor, rng: torch.Generator) -> None:
    """From the teacher's strongest grey filters on, in many lights."""
    grey = (teacher.first[0] / torch.from_numpy(STD).view(1, 3, 1, 1)).sum(1, keepdim=True)
    keep = grey.square().sum((1, 2, 3)).argsort(descending=True)[: len(stem[0].weight)]
    with torch.no_grad():
        stem[0].weight.copy_(grey[keep])
        stem[1].weight.copy_(teacher.depthwise[0][keep])
    stem.train()
    adam = torch.optim.Adam(stem.parameters(), _STEM_RATE)
    plan = torch.optim.lr_scheduler.OneCycleLR(adam, _STEM_RATE, total_steps=_STEM_STEPS, pct_start=0.08)
    for step in range(_STEM_STEPS):
        pixels = _pixels(images[torch.randint(len(images), (_STEM_BATCH,), generator=rng)])
        pixels = pixels.flip(3) if step % 2 else pixels
        pixels = (pixels * (0.6 + 0.8 * torch.rand(len(pixels), 1, 1, 1, generator=rng))).clamp(0, 1)
        error = _error(stem(piece(pixels)), _cut(teacher.entrance(pixels), 0))
        adam.zero_grad()
        error.backward()
        adam.step()
        plan.step()
        if step % 20 == 0:
            print(f"\rstem {step}/{_STEM_STEPS}: error {error.item():.3f}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _error(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The share of the wanted map's variance that is missed."""
    mean = wanted.mean((0, 2, 3), keepdim=True)
    return (found - wanted).square().sum() / (wanted - mean).square().sum()


def _take_block(
    convs: list[Conv], given: tuple[Weights, Weights, Weights], x: torch.Tensor, wanted: torch.Tensor, residual: bool
) -> tuple[torch.Tensor, float]:
    """Sets the three convolutions; returns what the block gives for x, and the share of `wanted` that it misses."""
    widen, middle, narrow = convs
    (w1, b1), (w2, b2), _ = given
    target = wanted - x if residual else wanted
    inner = _far_edge(F.conv2d(x, w1, b1).clamp(0, 6), (w2, b2), middle.stride)
    keep = _important(inner, target, middle.out_channels)
    for conv, weight, bias in ((widen, w1, b1), (middle, w2, b2)):
        conv.weight.copy_(weight[keep])
        conv.bias.copy_(bias[keep])
    features = middle(widen(x))
    weight, bias = _least_squares(_rows(features), _rows(target), 1e-4)
    narrow.weight.copy_(weight[:, :, None, None])
    narrow.bias.copy_(bias)
    y = narrow(features)
    y = x + y if residual else y
    return y, float(_error(y, wanted))


def _important(inner: torch.Tensor, target: torch.Tensor, count: int) -> torch.Tensor:
    """The channels of `inner` that least squares onto `target` needs most, thinned out a few at a time."""
    keep = torch.arange(inner.shape[1])
    wanted = _rows(target)
    while len(keep) > count:
        part = inner[:, keep]
        weight, _ = _least_squares(_rows(part), wanted, 1e-4)
        worth = weight.square().sum(0) * part.var((0, 2, 3))
        keep = keep[worth.argsort(descending=True)[: max(count, int(0.85 * len(keep)))]].sort().values
    return keep


def _take_tail(tail: list[nn.Module], teacher: Teacher, x: torch.Tensor) -> None:
    """The channels that the teacher's embedding owes most to, then a blur before the last stride."""
    widen, middle = tail[:2]
    weight, bias = teacher.widen
    lively = F.conv2d(x, weight, bias).clamp(0, 6).var((0, 2, 3))
    heeded = teacher.last[0].square().sum((0, 2, 3)) * teacher.whole[0].square().sum((1, 2, 3))
    keep = (lively * heeded).argsort(descending=True)[: widen.out_channels]
    widen.weight.copy_(weight[keep])
    widen.bias.copy_(bias[keep])
    binomial = torch.tensor([0.25, 0.5, 0.25])
    middle.weight.copy_((binomial[:, None] * binomial).expand_as(middle.weight))
    middle.bias.zero_()


def _take_last(narrow: Conv, last: Linear, features: torch.Tensor, wanted: torch.Tensor) -> None:
    """The combinations of channels that a regression on all of them owes most to, then one on these."""
    every, _ = _least_squares(_flat(features), wanted, 3e-3)
    energy, axes = torch.linalg.eigh(torch.cov(_rows(features).T).double())
    spread = energy.clamp_min(1e-6 * energy[-1]).sqrt()
    heeded = every.reshape(-1, features.shape[1]).double() @ (axes * spread)
    keep = torch.linalg.svd(heeded, full_matrices=False).Vh[: narrow.out_channels]
    narrow.weight.copy_((keep @ (axes / spread).T)[:, :, None, None])
    narrow.bias.zero_()
    weight, bias = _least_squares(_flat(narrow(features)), wanted, 3e-3)
    last.weight.copy_(weight)
    last.bias.copy_(bias)


def _flat(maps: torch.Tensor) -> torch.Tensor:
    """As `Linear` reads them."""
    return maps.permute(0, 2, 3, 1).flatten(1)


def _rows(maps: torch.Tensor) -> torch.Tensor:
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


def _least_squares(inputs: torch.Tensor, wanted: torch.Tensor, ridge: float) -> Weights:
    """weight [out, in] and bias with the least squared error; `ridge` in shares of the inputs' mean energy."""
    mean, middle = inputs.mean(0), wanted.mean(0)
    centred = inputs - mean
    gram = (centred.T @ centred).double()
    gram += ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weight = torch.linalg.solve(gram, (centred.T @ (wanted - middle)).double()).float().T
    return weight, middle - weight @ mean
