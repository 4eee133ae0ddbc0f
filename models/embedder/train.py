"""Train the embedder: start from a teacher's weights, distil two teachers, quantise, export and write the pack.

    python -m models.embedder.train --faces ../shared/faces --minutes 700
    python -m models.embedder.train --faces ../shared/faces --live --epochs 60         on a GPU
    python -m models.embedder.train --faces ../shared/faces --live --start FILE.tflite    go on from an int8 net
    python -m models.embedder.train --data DIR [--teachers FOLDER] --out FOLDER        your own pictures

Uses a GPU where torch finds one. Resumes from its checkpoint folder; `--epochs` instead of `--minutes` makes a run
repeatable to the step (views to be shown again are lost when it is interrupted). The start is MobileFaceNet, cut down
(models/embedder/inherit.py). The loss adds four parts: cosine to MobileFaceNet's embedding; a margin softmax over the
identities, whose class vectors start at the teacher's identity means; and agreement of the batch's similarity matrix
with MobileFaceNet's and with EdgeFace's. The teachers look at the clean pictures, once, in colour; with --live at the
very augmented view that the net gets, too, and the target lies midway between what they say of the two. Somewhat less
than half of each batch are mixed faces (models/embedder/mixes.py). What is judged, quantised and exported is the mean
of the weights over the last few hundred steps. Before the quantised phase the embeddings are centred, and the float net
then is the quantised one's only teacher. With --data alone there is no teacher: the start is chance, and the softmax is
the whole loss; models/embedder/own.py describes the layout of DIR.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from models import layers
from models.data import CACHE, Faces, inner, load_matcher
from models.embedder import metrics, teachers
from models.embedder.augment import piece, view, whole
from models.embedder.inherit import Teacher, inherit
from models.embedder.mixes import Mixes, mixes
from models.embedder.net import EMBEDDING, Embedder

BATCH = 128
MIXED = 56  # of a batch's faces, where there are mixed ones
MARGIN, SOFTMAX_SCALE = 0.2, 32.0
WEIGHTS = {"cosine": 6.0, "softmax": 0.2, "near matrix": 8.0, "far matrix": 8.0}
STRENGTH = 0.6  # of the augmentation
_KEPT = 512  # batches of views from which one to be shown again is drawn
_FEW = 96  # with fewer batches kept an epoch shows new views only: a few again and again would be learnt by heart
_LEAST_MATRIX = 32  # rows and columns of a weight that Muon moves
_DECAY = 0.02  # of the weights, not of the biases
FLOAT_RATE, INHERITED_RATE, QUANT_RATE = 3e-3, 6e-4, 5e-5
QUANT_SHARE = 1 / 6  # of the float phase's length
CHECKPOINTS = CACHE / "ckpt"
CENTRED = "embedder_centred.pt"  # the float net at its end, to measure beside the quantised one


@dataclass
class Shown:
    """Augmented views with their targets."""

    pixels: torch.Tensor  # uint8 [n, 1, 112, 112], whole views
    rows: torch.Tensor  # of the images
    near: torch.Tensor | None  # unit [n, 128]
    far: torch.Tensor | None  # unit [n, 512]


def _drawn(kept: deque[Shown], rng: torch.Generator) -> Shown:
    """A batch as those kept are, each place filled from the same place of one of them."""
    picks = torch.randint(len(kept), (len(kept[0].rows),), generator=rng, device=rng.device).tolist()

    def gathered(name: str) -> torch.Tensor | None:
        tensors = [getattr(batch, name) for batch in kept]
        return None if tensors[0] is None else torch.stack([tensors[pick][place] for place, pick in enumerate(picks)])

    return Shown(*(gathered(name) for name in ("pixels", "rows", "near", "far")))


@dataclass
class Lessons:
    """Training images with their targets. The mixed faces come after the labelled ones, and have no label."""

    images: torch.Tensor  # uint8 [n, 112, 112]
    label: torch.Tensor  # identity numbers, of the first of the images
    centres: torch.Tensor  # where each identity's class vector starts, unit [identities, 128]
    groups: list[np.ndarray]  # rows of persons of one kind, to be told apart among themselves
    near: torch.Tensor | None = None  # MobileFaceNet on the clean pictures, unit [n, 128]
    far: torch.Tensor | None = None  # EdgeFace on the clean pictures, unit [n, 512]
    live: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]] | None = None  # of any whole view, besides
    showings: int = 1  # of a view, about

    @property
    def device(self) -> torch.device:
        return self.images.device

    def to(self, device: torch.device) -> Lessons:
        def moved(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor.to(device)

        images, label, centres = (t.to(device) for t in (self.images, self.label, self.centres))
        return replace(self, images=images, label=label, centres=centres, near=moved(self.near), far=moved(self.far))

    def with_mixes(self, mixed: Mixes) -> Lessons:
        parts = ((self.images, mixed.images), (self.near, mixed.near), (self.far, mixed.far))
        images, near, far = (torch.cat([own, torch.from_numpy(more).to(own.dtype)]) for own, more in parts)
        return replace(self, images=images, near=near, far=far)

    def targets(self, pixels: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """What the two teachers say of these views, said of their clean pictures, or midway where there is both."""
        clean = tuple(None if stored is None else stored[rows] for stored in (self.near, self.far))
        if not self.live:
            return clean
        pairs = zip(self.live(pixels), clean, strict=True)
        return tuple(now if now is None or was is None else F.normalize(now + was) for now, was in pairs)

    def shown(self, rng: torch.Generator, kept: deque[Shown]) -> tuple[int, Iterator[Shown]]:
        """How many batches make an epoch, and the batches; `kept` holds what is to be shown again."""
        showings = self.showings if len(kept) >= _FEW else 1
        batches = self.batches(rng)
        batches = batches[: max(1, len(batches) // showings)]
        return showings * len(batches), self._views(batches, showings, rng, kept)

    def _views(
        self, batches: list[torch.Tensor], showings: int, rng: torch.Generator, kept: deque[Shown]
    ) -> Iterator[Shown]:
        for rows in batches:
            pixels = whole(self.images[rows], rng, STRENGTH)
            kept.append(Shown((pixels * 256).to(torch.uint8), rows, *self.targets(pixels, rows)))
            for _ in range(showings):
                yield kept[-1] if showings == 1 else _drawn(kept, rng)

    def batches(self, rng: torch.Generator) -> list[torch.Tensor]:
        """Every labelled image once, those of a batch followed by its mixed faces."""
        labelled, extra = len(self.label), len(self.images) - len(self.label)
        share = MIXED if extra else 0
        batches = torch.randperm(labelled, generator=rng, device=rng.device).split(BATCH - share)
        batches = batches[:-1] or batches  # a short last batch would disturb the normalisation's means
        if not share:
            return list(batches)
        picks = torch.randint(labelled, labelled + extra, (len(batches), share), generator=rng, device=rng.device)
        return [torch.cat(pair) for pair in zip(batches, picks, strict=True)]


def lessons(folder: Path, faces: Faces) -> Lessons:
    rows = faces.rows("train", "aaf_train")
    near = teachers.mobilefacenet(folder, faces)[rows]
    far = teachers.edgeface(folder, faces)[rows]
    names, label = np.unique(faces.identity[rows], return_inverse=True)
    centres = np.zeros((len(names), near.shape[1]), np.float32)
    np.add.at(centres, label, near)
    kinds = metrics.groups(faces.age[rows], faces.gender[rows])  # of the All-Age-Faces persons: others have no age
    return Lessons(
        torch.from_numpy(np.ascontiguousarray(faces.images[rows])),
        torch.from_numpy(label),
        torch.from_numpy(teachers.unit(centres)),
        [members for name, members in kinds.items() if metrics.adult(name)],
        torch.from_numpy(near),
        torch.from_numpy(far),
    )


def own_lessons(faces: Faces, live: teachers.Live | None, seed: int, device: torch.device) -> Lessons:
    """Lessons from one's own pictures. Class vectors start at random, or at the live teacher's identity means."""
    rows = faces.rows("train")
    names, label = np.unique(faces.identity[rows], return_inverse=True)
    images = torch.from_numpy(np.ascontiguousarray(faces.images[rows]))
    centres = torch.randn(len(names), EMBEDDING, generator=torch.Generator().manual_seed(seed))
    near = None
    if live:
        near = torch.cat(
            [live(whole(part.to(device), torch.Generator(device), 0.0))[0] for part in images.split(BATCH)]
        ).cpu()
        centres = torch.zeros(len(names), EMBEDDING).index_add_(0, torch.from_numpy(label), near)
    everyone = [np.arange(len(label))]
    return Lessons(images, torch.from_numpy(label), F.normalize(centres), everyone, near, live=live)


class Task(nn.Module):
    """The net and, in the float phase, the loss's own class vectors."""

    def __init__(self, centres: torch.Tensor):
        super().__init__()
        self.net = Embedder()
        self.classes: nn.Parameter | None = nn.Parameter(centres.clone())

    def loss(self, views: Shown, labels: torch.Tensor, bf16: bool) -> dict[str, torch.Tensor]:
        """The parts of the loss; `labels` are of the labelled images."""
        with torch.autocast(views.pixels.device.type, torch.bfloat16, enabled=bf16):
            raw = self.net(piece(views.pixels.float() / 256))
        z = F.normalize(raw.float())
        label = labels[views.rows[views.rows < len(labels)]]
        parts = {}
        if self.classes is not None:
            logits = z[: len(label)] @ F.normalize(self.classes).T
            wanted = F.one_hot(label, logits.shape[1]) * MARGIN
            parts["softmax"] = F.cross_entropy((logits - wanted) * SOFTMAX_SCALE, label)
        off = 1 - torch.eye(len(z), device=z.device)
        for name, wanted in (("near matrix", views.near), ("far matrix", views.far)):
            if wanted is not None:
                parts[name] = ((z @ z.T - wanted @ wanted.T) * off).square().mean()
        if views.near is not None:
            parts["cosine"] = 1 - (z * views.near).sum(1).mean()
        return parts


def averaged(task: Task) -> AveragedModel:
    """A task whose net is the running mean of the given one's weights, over 500 steps where there were as many."""

    @torch.no_grad()
    def blend(means: list[torch.Tensor], now: list[torch.Tensor], steps: torch.Tensor | int) -> None:
        torch._foreach_lerp_(means, now, max(0.002, (int(steps) + 1) ** -0.8))

    return AveragedModel(task, multi_avg_fn=blend)


class Optimiser:
    """Muon for the 1x1 convolutions and the last layer, whose updates become as long as AdamW's; AdamW for the rest."""

    def __init__(self, task: Task, rate: float):
        trained = [p for p in task.net.parameters() if p.requires_grad]
        self.matrices = [p for p in trained if _is_matrix(p)]
        rest = [p for p in trained if not _is_matrix(p)]
        groups = [
            {"params": [p for p in rest if p.ndim > 1], "weight_decay": _DECAY},
            {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
        ]
        if task.classes is not None:
            groups.append({"params": [task.classes], "weight_decay": 0.0, "share": 0.1})
        self.flat = [p.detach().flatten(1) for p in self.matrices]  # Muon takes two dimensions; the memory is shared
        muon = torch.optim.Muon(self.flat, rate, _DECAY, adjust_lr_fn="match_rms_adamw")
        self.parts = muon, torch.optim.AdamW(groups, lr=rate)

    def step(self, rate: float) -> None:
        for flat, matrix in zip(self.flat, self.matrices, strict=True):
            flat.grad = matrix.grad.flatten(1)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * group.get("share", 1.0)
            part.step()

    def state_dict(self) -> list[dict]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict]) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def _is_matrix(weight: torch.Tensor) -> bool:
    return weight.ndim > 1 and min(len(weight), weight[0].numel()) >= _LEAST_MATRIX


def rate_at(progress: float) -> float:
    """Linear warm-up, then a half cosine; 1 at the peak."""
    return min(progress / 0.04, 0.5 + 0.5 * math.cos(math.pi * min(progress, 1.0))) + 1e-3


@dataclass
class Phase:
    """Float or quantised training, bounded by minutes or by epochs, with its checkpoint."""

    name: str
    path: Path
    rate: float
    minutes: float | None
    epochs: int
    seed: int

    def progress(self, epochs: float, seconds: float) -> float:
        return epochs / self.epochs if self.minutes is None else seconds / (60 * self.minutes)

    def save(self, task: Task, mean: AveragedModel, optimiser: Optimiser, epoch: int, seconds: float) -> None:
        partial = self.path.with_suffix(".part")
        torch.save(
            {
                "task": task.state_dict(),
                "mean": mean.state_dict(),
                "optimiser": optimiser.state_dict(),
                "epoch": epoch,
                "seconds": seconds,
                "phase": self.name,
                "seed": self.seed,
            },
            partial,
        )
        partial.replace(self.path)


def run(phase: Phase, task: Task, data: Lessons, check: Callable[[Task], str], state: dict) -> None:
    """Train until the phase is over, continuing from `state` (empty, or a checkpoint of the same phase).

    The task is left with the mean weights.
    """
    optimiser, mean = Optimiser(task, phase.rate), averaged(task)
    if state:
        task.load_state_dict(state["task"])
        mean.load_state_dict(state["mean"])
        optimiser.load_state_dict(state["optimiser"])
    epoch, spent = state.get("epoch", 0), state.get("seconds", 0.0)
    began = time.monotonic() - spent
    kept: deque[Shown] = deque(maxlen=_KEPT if data.showings > 1 else 1)
    while phase.progress(epoch, spent) < 1:
        losses = _epoch(phase, task, mean, data, optimiser, epoch, began, kept)
        epoch, spent = epoch + 1, time.monotonic() - began
        phase.save(task, mean, optimiser, epoch, spent)
        report = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        done = 100 * min(1.0, phase.progress(epoch, spent))
        line = f"\r{phase.name} epoch {epoch} {done:.0f} % {spent:.0f} s {report} {check(mean.module)}"
        print(line, file=sys.stderr, flush=True)
    task.load_state_dict(mean.module.state_dict())


def _epoch(
    phase: Phase,
    task: Task,
    mean: AveragedModel,
    data: Lessons,
    optimiser: Optimiser,
    epoch: int,
    began: float,
    kept: deque[Shown],
) -> dict[str, float]:
    """As many views as labelled images, cut short at the phase's end; returns the mean of each part of the loss."""
    rng = torch.Generator(data.device).manual_seed(phase.seed * 10007 + epoch)
    steps, batches = data.shown(rng, kept)
    sums: dict[str, float] = {}
    task.train()
    for step, views in enumerate(batches):
        progress = phase.progress(epoch + step / steps, time.monotonic() - began)
        if progress >= 1:
            break
        parts = task.loss(views, data.label, bf16=data.device.type == "cuda" and phase.name == "float")
        task.zero_grad(set_to_none=True)
        sum(WEIGHTS[name] * part for name, part in parts.items()).backward()
        nn.utils.clip_grad_norm_(task.parameters(), 5.0)
        optimiser.step(phase.rate * rate_at(progress))
        mean.update_parameters(task)
        for name, part in parts.items():
            sums[name] = sums.get(name, 0.0) + float(part.detach())
        if step % 20 == 0:
            print(
                f"\r{phase.name} epoch {epoch + 1} step {step}/{steps}",
                end="",
                file=sys.stderr,
                flush=True,
            )
    return {name: total / (step + 1) for name, total in sums.items()}


@torch.no_grad()
def embed(net: nn.Module, pixels: np.ndarray) -> np.ndarray:
    """Embeddings of uint8 [n, 96, 96], of whatever length the net gives them."""
    net.eval()
    found = []
    for start in range(0, len(pixels), BATCH):
        x = torch.from_numpy(pixels[start : start + BATCH].astype(np.float32))[:, None] / 256
        x = x.to(next(net.parameters()).device)
        found.append(net(x.contiguous(memory_format=torch.channels_last)).cpu().numpy())
    return np.concatenate(found)


def validation(faces: Faces) -> Callable[[Task], str]:
    """Same pairs accepted at FAR 1 % and 0.1 % on `val`, whose persons are not the training's."""
    rows = faces.rows("val")
    pixels, names = inner(faces.images[rows]), faces.identity[rows]

    def check(task: Task) -> str:
        left, right, scores = metrics.pair_scores(teachers.unit(embed(task.net, pixels)))
        same = names[left] == names[right]
        return " ".join(
            f"val TAR@{far} {metrics.accepted(scores[same], metrics.threshold_at(scores[~same], far)):.3f}"
            for far in (1e-2, 1e-3)
        )

    return check


@torch.no_grad()
def centre(net: Embedder, data: Lessons) -> None:
    """Fold; then the last layer's bias moves the embeddings' mean to zero, each of `data.groups` counting the same.

    Faces of one kind lie to one side of all that the teachers have seen, so that strangers among them look alike; from
    their own middle they differ as others do. The embeddings' length stays.
    """
    layers.fold(net)
    raw = [embed(net, inner(data.images[rows].cpu().numpy())) for rows in data.groups]
    mean = np.mean([part.mean(0) for part in raw], axis=0)
    every = np.concatenate(raw)
    gain = float(np.linalg.norm(every, axis=1).mean() / np.linalg.norm(every - mean, axis=1).mean())
    last = net.layers[-1]
    last.weight.mul_(gain)
    last.bias.sub_(torch.from_numpy(mean).to(last.bias)).mul_(gain)


@torch.no_grad()
def begin_from(net: Embedder, file: Path, data: Lessons) -> None:
    """Fold; take the weights of an int8 net, and undo its centring as far as the teacher's embeddings tell."""
    layers.load_tflite(net, file)
    if data.near is None:
        return
    raw = torch.from_numpy(embed(net, inner(data.images[: len(data.label)].cpu().numpy())))
    near = data.near[: len(raw)].cpu()
    middle = raw.mean(0), near.mean(0)
    gain = ((raw - middle[0]) * (near - middle[1])).sum() / (near - middle[1]).square().sum()
    net.layers[-1].bias.add_(gain * middle[1] - middle[0])


def as_teacher(net: Embedder) -> Callable[[torch.Tensor], tuple[torch.Tensor, None]]:
    """The net as it is now, in the place of `Lessons.live`."""
    twin = copy.deepcopy(net).eval()

    @torch.no_grad()
    def say(pixels: torch.Tensor) -> tuple[torch.Tensor, None]:
        return F.normalize(twin(piece(pixels))), None

    return say


def quantise(net: Embedder, data: Lessons, seed: int) -> None:
    """Equalise and calibrate a folded net on mildly augmented training faces; it is quantised from then on."""
    rng = torch.Generator(data.device).manual_seed(seed)
    rows = torch.randperm(len(data.label), generator=rng, device=rng.device)[:1024]
    layers.equalise(net)
    layers.calibrate(net, [view(data.images[part], rng, STRENGTH) for part in rows.split(BATCH)])


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True, map_location="cpu") if path.exists() else {}


def restore(state: dict) -> Embedder:
    """The mean net of a checkpoint, ready to be evaluated: of the float phase in float, else quantised."""
    net = Embedder()
    start = "module.net."
    weights = {k[len(start) :]: v for k, v in state["mean"].items() if k.startswith(start)}
    if not any(".bn." in name for name in weights):
        layers.fold(net)
    net.load_state_dict(weights)
    layers.set_mode(net, "quant" if state["phase"] == "quant" else "float")
    return net.eval()


def summary(state: dict) -> dict:
    """What the manifest says of the training."""
    return {
        "phase": state["phase"],
        "epochs": state["epoch"],
        "minutes": round(state["seconds"] / 60, 1),
        "seed": state["seed"],
    }


def train(options: argparse.Namespace, data: Lessons, check: Callable[[Task], str], teacher: Path | None) -> Task:
    """Both phases, each from its checkpoint where there is one; `teacher` is the folder of the net to start from."""

    def phase(name: str, rate: float, share: float) -> Phase:
        minutes = options.minutes * share if options.minutes else None
        return Phase(
            name,
            options.checkpoints / f"embedder_{name}.pt",
            rate,
            minutes,
            max(1, round(options.epochs * share)),
            options.seed,
        )

    begun = options.start or teacher
    rate = options.rate or (INHERITED_RATE if begun else FLOAT_RATE)
    first, second = phase("float", rate, 1.0), phase("quant", QUANT_RATE, QUANT_SHARE)
    task, state = Task(data.centres), load(first.path)
    if begun and state:
        layers.fold(task.net)
    elif options.start:
        begin_from(task.net, options.start, data)
        print(f"begun: {check(task)}", file=sys.stderr, flush=True)
    elif teacher:
        inherit(
            task.net, Teacher.read(teacher / teachers.MOBILEFACENET), data.images.cpu(), data.near.cpu(), options.seed
        )
        print(f"inherited: {check(task)}", file=sys.stderr, flush=True)
    task = task.to(data.device, memory_format=torch.channels_last)
    run(first, task, data, check, state)
    centre(task.net, data)
    print(f"centred: {check(task)}", file=sys.stderr, flush=True)
    weights = {f"module.net.{name}": value for name, value in task.net.state_dict().items()}
    torch.save(load(first.path) | {"mean": weights}, options.checkpoints / CENTRED)
    data = replace(data, near=None, far=None, live=as_teacher(task.net))
    quantise(task.net, data, options.seed)
    print(f"calibrated: {check(task)}", file=sys.stderr, flush=True)
    task.classes = None
    run(second, task, data, check, load(second.path))
    return task


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--faces", type=Path, help="folder with matcher/ and teachers/ in it")
    source.add_argument("--data", type=Path, help="your own pictures: a folder per person")
    parser.add_argument("--teachers", type=Path, help="with --data: folder with the two teachers' .onnx files")
    parser.add_argument("--live", action="store_true", help="with --faces: the teachers look at the augmented views")
    parser.add_argument("--start", type=Path, help="an embedder.tflite to go on from; its terms go on, too")
    parser.add_argument("--showings", type=int, help="of a view that teachers look at live; 8 on a CPU, 1 on a GPU")
    parser.add_argument("--out", type=Path, help="where the model goes; needed with --data")
    parser.add_argument("--minutes", type=float, help="of the float phase; a sixth is added for the quantised one")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rate", type=float, help="of learning, at its height, in the float phase")
    parser.add_argument("--mixes", type=int, default=102_400, help="with --faces: how many mixed faces to make first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="of the CPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--checkpoints", type=Path)
    options = parser.parse_args()
    if options.data and not options.out:
        parser.error("--data needs --out: the folder for your model")
    if not options.checkpoints:
        options.checkpoints = options.out / "checkpoints" if options.data else CHECKPOINTS
    return options


def main() -> None:
    from models.embedder import export, own

    options = arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    layers.keep_memory()
    options.checkpoints.mkdir(parents=True, exist_ok=True)
    teacher = options.faces / "teachers" if options.faces else options.teachers
    live = teachers.Live(teacher, device) if teacher and (options.live or options.data) else None
    if options.data:
        faces = own.load(options.data)
        data = own_lessons(faces, live, options.seed, device)
    else:
        faces = load_matcher(options.faces)
        data = lessons(options.faces, faces)
        if options.mixes:
            rows = faces.rows("train", "aaf_train")
            data = data.with_mixes(mixes(options.faces, faces, rows, options.mixes, options.seed, device))
        data.live = live
    if live:
        data.showings = options.showings or (8 if device.type == "cpu" else 1)
    task = train(options, data.to(device), validation(faces), teacher).cpu()
    said = summary(load(options.checkpoints / "embedder_quant.pt"))
    if options.data:
        manifest = export.export_own(task.net, faces, options.data, said, options.out)
    else:
        manifest = export.export(task.net, faces, said, options.out or export.HERE)
    print(json.dumps(manifest))


if __name__ == "__main__":
    main()
