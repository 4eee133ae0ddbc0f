"""Train the embedder: distil two teachers, then quantise, export and write the pack.

    python -m models.embedder.train --faces ../shared/faces --minutes 65

Resumes from its checkpoint folder; `--epochs` instead of `--minutes` makes a run repeatable to the step.
The loss adds three parts: cosine to MobileFaceNet's embedding of the clean picture; a margin softmax over the identities,
whose class vectors start at the teacher's identity means; and agreement of the batch's similarity matrix with EdgeFace's.
"""
from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from models import layers
from models.data import CACHE, Faces, load_matcher, shrink
from models.embedder import teachers
from models.embedder.augment import view
from models.embedder.net import Embedder

BATCH = 128
MARGIN, SOFTMAX_SCALE = 0.2, 32.0
WEIGHTS = {"cosine": 4.0, "softmax": 0.3, "matrix": 10.0}
STRENGTH = 0.5           # of the augmentation
FLOAT_RATE, QUANT_RATE = 3e-3, 2e-4


@dataclass
class Lessons:
    """Training images with their targets."""

    images: torch.Tensor         # uint8 [n, 112, 112]
    label: torch.Tensor          # identity number
    near: torch.Tensor           # MobileFaceNet, unit [n, 128]
    far: torch.Tensor            # EdgeFace, unit [n, 512]
    centres: torch.Tensor        # MobileFaceNet's mean per identity, unit


def lessons(folder: Path, faces: Faces) -> Lessons:
    rows = faces.rows("train", "aaf_train")
    near = teachers.mobilefacenet(folder, faces)[rows]
    far = teachers.edgeface(folder, faces)[rows]
    names, label = np.unique(faces.identity[rows], return_inverse=True)
    centres = np.zeros((len(names), near.shape[1]), np.float32)
    np.add.at(centres, label, near)
    tensors = (torch.from_numpy(np.ascontiguousarray(a)) for a in (faces.images[rows], label, near, far))
    return Lessons(*tensors, torch.from_numpy(teachers.unit(centres)))


class Task(nn.Module):
    """The net and the loss's own class vectors."""

    def __init__(self, centres: torch.Tensor):
        super().__init__()
        self.net = Embedder()
        self.classes = nn.Parameter(centres.clone())

    def loss(self, pixels: torch.Tensor, data: Lessons, rows: torch.Tensor, bf16: bool) -> dict[str, torch.Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            raw = self.net(pixels)
        z = F.normalize(raw.float())
        logits = z @ F.normalize(self.classes).T
        wanted = F.one_hot(data.label[rows], logits.shape[1]) * MARGIN
        off = 1 - torch.eye(len(z))
        apart = z @ z.T - data.far[rows] @ data.far[rows].T
        return {"cosine": 1 - (z * data.near[rows]).sum(1).mean(),
                "softmax": F.cross_entropy((logits - wanted) * SOFTMAX_SCALE, data.label[rows]),
                "matrix": (apart * off).square().mean()}


def optimiser(task: Task, rate: float) -> torch.optim.Optimizer:
    decayed = [p for p in task.net.parameters() if p.ndim > 1 and p.requires_grad]
    plain = [p for p in task.net.parameters() if p.ndim <= 1 and p.requires_grad]
    return torch.optim.AdamW([{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0},
                              {"params": [task.classes], "weight_decay": 0.0, "share": 0.1}], lr=rate)


def rate_at(progress: float) -> float:
    """Linear warm-up, then a half cosine; 1 at the peak."""
    return min(progress / 0.04, 0.5 + 0.5 * math.cos(math.pi * min(progress, 1.0))) + 1e-3


def run(task: Task, data: Lessons, check, state: dict, *, path: Path, rate: float, minutes: float | None, epochs: float,
        seed: int, quant: bool) -> None:
    """One phase (float or quantised), continued from `state` (epoch, seconds, optimiser)."""
    steps = len(data.label) // BATCH
    adam = optimiser(task, rate)
    if state.get("adam"):
        adam.load_state_dict(state["adam"])
    began = time.monotonic() - state.get("seconds", 0.0)
    epoch, progress = state.get("epoch", 0), 0.0
    while progress < 1 and epoch < epochs:
        rng = torch.Generator().manual_seed(seed * 10007 + epoch)
        order = torch.randperm(len(data.label), generator=rng)
        task.train()
        if quant:
            layers.set_mode(task.net, "quant")
        sums: dict[str, float] = {}
        for step in range(steps):
            done = (epoch + step / steps) / epochs if minutes is None else (time.monotonic() - began) / (60 * minutes)
            progress = done
            if progress >= 1:
                break
            for group in adam.param_groups:
                group["lr"] = rate * rate_at(progress) * group.get("share", 1.0)
            rows = order[step * BATCH:(step + 1) * BATCH]
            pixels = view(data.images[rows], rng, STRENGTH)
            parts = task.loss(pixels, data, rows, bf16=not quant)
            adam.zero_grad(set_to_none=True)
            sum(WEIGHTS[name] * part for name, part in parts.items()).backward()
            nn.utils.clip_grad_norm_(task.parameters(), 5.0)
            adam.step()
            for name, part in parts.items():
                sums[name] = sums.get(name, 0.0) + float(part.detach()) / steps
        epoch += 1
        seconds = time.monotonic() - began
        torch.save({"task": task.state_dict(), "adam": adam.state_dict(), "epoch": epoch, "seconds": seconds}, f"{path}.part")
        Path(f"{path}.part").replace(path)
        report = " ".join(f"{name} {value:.4f}" for name, value in sums.items())
        print(f"{'quant' if quant else 'float'} epoch {epoch} {100 * progress:.0f} % {seconds:.0f} s {report} {check(task)}",
              file=sys.stderr, flush=True)


@torch.no_grad()
def embed(net: nn.Module, pixels: np.ndarray, bf16: bool = False, batch: int = 128) -> np.ndarray:
    """Unit embeddings of uint8 [n, 96, 96]."""
    net.eval()
    found = []
    for start in range(0, len(pixels), batch):
        x = torch.from_numpy(pixels[start:start + batch].astype(np.float32))[:, None] / 256
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            found.append(net(x.contiguous(memory_format=torch.channels_last)).float().numpy())
    return teachers.unit(np.concatenate(found))


def validation(faces: Faces):
    """A short figure on `val` (persons apart from the training's): share of same pairs accepted at FAR 1 % and 0.1 %."""
    rows = faces.rows("val")
    pixels, names = shrink(faces.images[rows]), faces.identity[rows]
    upper = np.triu_indices(len(rows), 1)
    same = names[upper[0]] == names[upper[1]]

    def check(task: Task) -> str:
        z = embed(task.net, pixels, bf16=not next(layers.weighted(task.net)).quant)
        scores = (z @ z.T)[upper]
        limits = np.quantile(scores[~same], (0.99, 0.999))
        return " ".join(f"val TAR@{far} {np.mean(scores[same] >= limit):.3f}" for far, limit in zip(("1e-2", "1e-3"), limits, strict=True))
    return check


def quantise(task: Task, data: Lessons, seed: int) -> None:
    """Fold and calibrate on mildly augmented training faces."""
    rng = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(data.label), generator=rng)[:1024]
    layers.fold(task.net)
    layers.calibrate(task.net, [view(data.images[part], rng, 0.5) for part in rows.split(BATCH)])


def load(path: Path) -> dict:
    return torch.load(path, weights_only=False) if path.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--minutes", type=float, help="length of the float phase; a fifth is added for quantisation")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoints", type=Path, default=CACHE / "ckpt")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.checkpoints.mkdir(parents=True, exist_ok=True)
    faces = load_matcher(options.faces)
    data, check = lessons(options.faces, faces), validation(faces)
    task = Task(data.centres).to(memory_format=torch.channels_last)
    limits = {"minutes": options.minutes, "epochs": 10 ** 6 if options.minutes else options.epochs}
    path = options.checkpoints / "embedder_float.pt"
    state = load(path)
    if state:
        task.load_state_dict(state["task"])
    run(task, data, check, state, path=path, rate=FLOAT_RATE, seed=options.seed, quant=False, **limits)


if __name__ == "__main__":
    main()
