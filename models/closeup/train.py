"""Trains the closer look: `python -m models.closeup.train --faces DIR`, then exports and packs.

It sees through the detector's first layers and learns from the detector's mistakes, so train that one first. Views are
drawn once (teacher's points, mistakes, views and maps are kept in the --work folder); the head that learns from their
maps is small, and learns within minutes on one core: float with batch normalisation, folded, quantised.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from firmware.vision.closeup import CENTRE, SHAPE, SIDE
from models.closeup.augment import FACE, UNDECIDED, Views
from models.closeup.data import detect_portraits, matcher_portraits
from models.closeup.mine import mistakes
from models.closeup.net import Closeup, trunk_of
from models.detector.data import read_frames
from models.graph import Graph
from models.layers import calibrate, equalise, fold, set_mode
from models.simulate import run

WORK = Path(__file__).resolve().parents[2] / ".cache" / "ckpt" / "closeup"
DETECTOR = Path(__file__).resolve().parents[1] / "detector" / "detector.tflite"
PHASES = {"float": (0.55, 5e-3), "folded": (0.75, 1e-3), "quant": (1.0, 6e-4)}  # part of the steps by its end, top rate
LOSS_WEIGHTS = {"points": 5.0, "box": 1.0, "score": 1.0}
BATCH = 128
_SAY_EVERY = 100
_MINE_LEAST = -24  # a logit of -1.5
_CALIBRATION_BATCHES = 16
_AVERAGE = 0.995
_FLIP = [1, 0, 2, 4, 3]


class Samples:
    """The trunk's maps of views drawn once, and of the mirrored views; the seed decides all."""

    def __init__(self, options: argparse.Namespace, trunk: Graph):
        work = Path(options.work)
        work.mkdir(parents=True, exist_ok=True)
        views = work / "samples.npz"
        if not views.exists():
            np.savez(views, **draw_samples(options))
        kept = np.load(views)
        key = hashlib.sha256(options.detector.read_bytes() + views.read_bytes()).hexdigest()[:12]
        maps = work / f"maps-{key}.npy"
        if not maps.exists():
            pixels = kept["pixels"]
            np.save(maps, np.stack([_maps(trunk, pixels), _maps(trunk, np.ascontiguousarray(pixels[:, :, ::-1]))]))
        self.maps = torch.from_numpy(np.load(maps))
        self.kind, target = torch.from_numpy(kept["kind"]), torch.from_numpy(kept["target"])
        self.target = torch.stack([target, mirror(target)])
        tensor = trunk.tensors[trunk.outputs[0]]
        self.zero, self.scale = tensor.zero_point, tensor.scale

    def batch(self, dice: torch.Generator, size: int = BATCH) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rows = torch.randint(len(self.kind), (size,), generator=dice)
        side = torch.randint(2, (size,), generator=dice)
        maps = (self.maps[side, rows].float() - self.zero) * self.scale
        return maps.permute(0, 3, 1, 2), self.kind[rows], self.target[side, rows]


def _maps(trunk: Graph, pixels: np.ndarray) -> np.ndarray:
    parts = [run(trunk, pixels[start : start + 1000])[0] for start in range(0, len(pixels), 1000)]
    return np.concatenate(parts)


def mirror(target: torch.Tensor) -> torch.Tensor:
    """What the outputs should be for the mirrored view."""
    shape = torch.tensor(SHAPE) / 16
    points = target[:, :10].view(-1, 5, 2) + shape
    points = torch.stack([SIDE - 1 - points[..., 0], points[..., 1]], 2)[:, _FLIP] - shape
    across = SIDE - 1 - 2 * CENTRE[0] / 16 - target[:, 10:11]
    return torch.cat([points.flatten(1), across, target[:, 11:]], 1)


def draw_samples(options: argparse.Namespace) -> dict[str, np.ndarray]:
    portraits = detect_portraits(options.faces)
    portraits += matcher_portraits(options.faces, Path(options.work) / "teacher.npz", portraits)
    wrong = mistakes(options.faces, options.detector, options.room_views, _MINE_LEAST, options.seed, options.work)
    rooms = [f.pixels for f in read_frames(options.faces, ("train",)) if not f.faces]
    print(f"{len(portraits)} portraits, {len(wrong)} mistakes of the detector", flush=True)
    views, rng = Views(portraits, rooms, wrong), np.random.default_rng(options.seed)
    pixels, kind, target = zip(*(views.draw(rng) for _ in range(options.samples)), strict=True)
    return {"pixels": np.stack(pixels), "kind": np.array(kind), "target": np.stack(target)}


def loss_of(out: torch.Tensor, kind: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
    """Points: by eye distance, linear beyond a small error. Box: L1. Score: cross entropy, focused on what is wrong."""
    face = kind == FACE
    off = (out[face, :10] - target[face, :10]).view(-1, 5, 2).square().sum(2).add(1e-6).sqrt()
    off = off / target[face, 14:].clamp(min=8)
    box = (out[face, 11:15] - target[face, 10:14]) * out.new_tensor([1 / 40, 1 / 40, 1 / 8, 1 / 8])
    box = box[~target[face, 10].isnan()].abs()
    score, want = out[:, 10], face.float()
    focus = (score.detach().sigmoid() - want).abs()
    entropy = F.binary_cross_entropy_with_logits(score, want, reduction="none") * focus
    decided = kind != UNDECIDED
    return {
        "points": F.smooth_l1_loss(off, torch.zeros_like(off), beta=0.04),
        "box": box.sum() / max(1, box.numel()),
        "score": entropy[decided].mean(),
    }


def train(options: argparse.Namespace) -> Closeup:
    """The averaged, quantised net."""
    trunk = trunk_of(options.detector)
    samples = Samples(options, trunk)
    torch.manual_seed(options.seed)
    dice = torch.Generator().manual_seed(options.seed)
    net, first = Closeup(trunk), 0
    for phase, (end, rate) in PHASES.items():
        if phase == "folded":
            fold(net)
            equalise(net)
        elif phase == "quant":
            calibrate(net, (samples.batch(dice)[0] for _ in range(_CALIBRATION_BATCHES)))
            net.fix_output()
        last = round(end * options.steps)
        net = _phase(net, samples, dice, range(first, last), phase, rate)
        first = last
    return net


def _phase(net: Closeup, samples: Samples, dice, steps: range, phase: str, rate: float) -> Closeup:
    """Trains `net` over these steps; returns the average of its weights, near their end."""
    average = copy.deepcopy(net).eval()
    net.train()
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=1e-3)
    totals, said = dict.fromkeys(LOSS_WEIGHTS, 0.0), steps.start
    for done, step in enumerate(steps):
        for group in optimiser.param_groups:
            slow = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done / len(steps)))
            group["lr"] = rate * min(1.0, (done + 1) / 100) * slow
        maps, kind, target = samples.batch(dice)
        parts = loss_of(net(maps), kind, target)
        optimiser.zero_grad(set_to_none=True)
        sum(LOSS_WEIGHTS[name] * value for name, value in parts.items()).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        _follow(average, net, min(_AVERAGE, (done + 1) / (done + 21)))
        for name, value in parts.items():
            totals[name] += float(value.detach())
        if (step + 1) % _SAY_EVERY == 0:
            losses = "  ".join(f"{name} {value / (step + 1 - said):.4f}" for name, value in totals.items())
            print(f"{time.strftime('%H:%M:%S')} {phase} step {step + 1}  {losses}", flush=True)
            totals, said = dict.fromkeys(LOSS_WEIGHTS, 0.0), step + 1
    return average


@torch.no_grad()
def _follow(average: Closeup, net: Closeup, keep: float) -> None:
    for mine, theirs in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if mine.is_floating_point():
            mine.lerp_(theirs, 1 - keep)
        else:
            mine.copy_(theirs)


def shaped(detector: Path) -> Closeup:
    """A net that a checkpoint's weights fit into."""
    net = Closeup(trunk_of(detector))
    fold(net)
    set_mode(net, "quant")
    return net


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", required=True, help="folder with detect/, matcher/ and teachers/ in it")
    parser.add_argument("--work", default=WORK, help="what is drawn and asked for once, and the checkpoint")
    parser.add_argument(
        "--detector", type=Path, default=DETECTOR, help="whose layers to use and mistakes to learn from"
    )
    parser.add_argument("--samples", type=int, default=30_000, help="views to draw")
    parser.add_argument("--steps", type=int, default=1_400)
    parser.add_argument("--room-views", type=int, default=5, help="of each empty room, to find mistakes in")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-export", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    net = train(options)
    checkpoint = Path(options.work) / "last.pt"
    torch.save({"seed": options.seed, "steps": options.steps, "net": net.state_dict()}, checkpoint)
    if not options.no_export:
        from models.closeup.export import export

        export(checkpoint, options.faces)


if __name__ == "__main__":
    main()
