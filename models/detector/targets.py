"""What each of the 380 cells should say about the faces of a scene, and the loss that asks for it."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from firmware.vision.detector import HEADS
from models.detector.data import Face

# faces (longer side, in units of the grid) that a head must find, and those that it may
_MUST = ((0.0, 38.0), (30.0, 1e9))
_MAY = ((0.0, 50.0), (21.0, 1e9))
_CORE, _SHELL = 0.2, 0.36  # positive and undecided zone about a face's centre, of its size
NEGATIVE, UNDECIDED, POSITIVE = 0, -1, 1


def _cells() -> np.ndarray:
    """(380, 4): centre x, y, stride, reference size, in units of the decoder's 160x120 grid."""
    rows = []
    for columns, lines, stride, reference in HEADS:
        y, x = np.mgrid[:lines, :columns]
        centre = [(x.ravel() + 0.5) * stride, (y.ravel() + 0.5) * stride]
        rows.append(np.stack([*centre, np.full(x.size, stride), np.full(x.size, reference)], axis=1))
    return np.concatenate(rows).astype(np.float32)


CELLS = _cells()
_SPLIT = HEADS[0][0] * HEADS[0][1]
_MIRRORED_CELLS = np.lexsort((-CELLS[:, 0], CELLS[:, 1], CELLS[:, 2]))
_MIRRORED_VALUES = [0, 1, 2, 3, 6, 7, 4, 5, 8, 9, 12, 13, 10, 11, 14]  # right and left change places
_ACROSS = [0, 4, 6, 8, 10, 12]


def assign(faces: list[Face]) -> tuple[np.ndarray, np.ndarray]:
    """Per cell its class (int8) and 15 floats: the 14 regression targets, then the face's size in pixels."""
    kind = np.zeros(len(CELLS), np.int8)
    target = np.zeros((len(CELLS), 15), np.float32)
    owner = np.full(len(CELLS), np.inf, np.float32)  # distance to the face that holds the cell
    for face in map(_on_grid, faces):
        centre, size = face.box[:2] + face.box[2:] / 2, face.box[2:]
        offset = np.abs(CELLS[:, :2] - centre)
        if face.ignore:
            kind[(offset < size * 0.5 + 2).all(axis=1) & (kind != POSITIVE)] = UNDECIDED
            continue
        must, may = _in_range(_MUST, size.max()), _in_range(_MAY, size.max())
        reach = CELLS[:, 2] * 0.7
        core = (offset <= np.maximum(size * _CORE, reach[:, None])).all(axis=1)
        shell = (offset <= np.maximum(size * _SHELL, reach[:, None] * 1.5)).all(axis=1)
        kind[shell & may & (kind != POSITIVE)] = UNDECIDED
        distance = (offset / size).max(axis=1)
        mine = core & must & (distance < owner)
        kind[mine], owner[mine] = POSITIVE, distance[mine]
        target[mine] = _regression(CELLS[mine], face)
    return kind, target


def mirrored(kind: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `assign` says of the mirrored scene."""
    turned = target[_MIRRORED_CELLS][:, _MIRRORED_VALUES]
    turned[:, _ACROSS] = -turned[:, _ACROSS] - 1 / CELLS[:, 2:3]  # cells' centres lie half a pixel to the right
    return kind[_MIRRORED_CELLS], turned


def _on_grid(face: Face) -> Face:
    """Frame pixels to the decoder's grid: its point 0 is the middle of the first 2x2 pixels."""
    box = np.concatenate([(face.box[:2] - 0.5) / 2, face.box[2:] / 2])
    return Face(box, (face.points - 0.5) / 2, face.ignore)


def _in_range(ranges, size) -> np.ndarray:
    inside = [low <= size <= high for low, high in ranges]
    return np.repeat(inside, [_SPLIT, len(CELLS) - _SPLIT])


def _regression(cells: np.ndarray, face: Face) -> np.ndarray:
    unit = cells[:, 2:3] / 2
    centre = face.box[:2] + face.box[2:] / 2
    size = 4 * np.log2(face.box[2:] / cells[:, 3:4])
    points = (face.points[None] - cells[:, None, :2]) / unit[:, None]
    extent = np.full((len(cells), 1), np.sqrt(face.box[2] * face.box[3]))
    offset = (centre - cells[:, :2]) / unit
    return np.concatenate([offset, size, points.reshape(len(cells), 10), extent], axis=1)


class Loss(torch.nn.Module):
    """Score: cross entropy towards the overlap reached, focused on cells in error. Rest: L1 by face size."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("unit", torch.from_numpy(CELLS[:, 2:3] / 2))

    def forward(self, out: torch.Tensor, kind: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        positive = kind == POSITIVE
        count = positive.sum().clamp(min=1)
        unit = self.unit.expand(kind.shape[0], -1, -1)[positive]
        got, want = out[positive][:, 1:15], target[positive]
        step = unit / want[:, 14:]  # an output unit as a part of the face
        box = F.l1_loss(got[:, :2] * step, want[:, :2] * step, reduction="sum")
        size = F.smooth_l1_loss(got[:, 2:4] / 4, want[:, 2:4] / 4, beta=0.05, reduction="sum")
        points = F.smooth_l1_loss(got[:, 4:] * step, want[:, 4:14] * step, beta=0.02, reduction="sum")
        quality = torch.zeros_like(out[..., 0])
        quality[positive] = 0.4 + 0.6 * _overlap(got.detach(), want, step)
        score = out[..., 0]
        focus = (score.detach().sigmoid() - quality).abs().square()
        entropy = F.binary_cross_entropy_with_logits(score, quality, reduction="none") * focus
        return {
            "score": (entropy * (kind != UNDECIDED)).sum() / count * 2,
            "box": (box * 2 + size) / count,
            "points": points / count,
        }


def _overlap(got: torch.Tensor, want: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """Intersection over union; sizes relative to the wanted box's."""
    ratio = torch.exp2((got[:, 2:4] - want[:, 2:4]) / 4).clamp(0.1, 10)
    aspect = torch.exp2((want[:, 2:4] - want[:, 2:4].flip(1)) / 8)  # side over the geometric mean of both
    shift = (got[:, :2] - want[:, :2]).abs() * step / aspect
    low = torch.minimum(torch.full_like(ratio, 0.5), shift + ratio / 2)
    high = torch.maximum(torch.full_like(ratio, -0.5), shift - ratio / 2)
    shared = (low - high).clamp(min=0).prod(1)
    return shared / (1 + ratio.prod(1) - shared)
