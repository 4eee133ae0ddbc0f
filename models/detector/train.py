"""Trains the detector: `python -m models.detector.train --faces DIR`, then exports, evaluates and packs.

Scenes are drawn from the train part's frames and rooms (augment.py, relabel.py); rooms on which the net errs are shown
again. Three phases: float with batch normalisation; folded, still float, which is half again as fast; with power-of-two
fake quantisation. With --start the first phase is left out: the weights of an int8 .tflite of the same net are
the folded net's.
The budget is wall time; a second call with the same --work folder resumes where the first one stopped.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from models.detector.augment import Scenes, light
from models.detector.data import Frame, fit, read_frames
from models.detector.metrics import choose_threshold, detect, measure
from models.detector.net import Detector
from models.detector.relabel import training_frames
from models.detector.targets import NEGATIVE, Loss, assign, mirrored
from models.layers import calibrate, equalise, fold, keep_memory, load_tflite, set_mode

WORK = Path(__file__).resolve().parents[2] / ".cache" / "ckpt" / "detector"
TOP_RATES = {"float": 4e-3, "folded": 1.5e-3, "quant": 4e-4}
_SCORE_WEIGHT, _POINTS_WEIGHT = 3.0, 1.5  # in the loss, beside 1 for the box
_HARD_ROOMS, _HARD_SHARE = 512, 13  # empty rooms kept for their false boxes; one in so many of what is shown
_MINE_EVERY, _MINED, _MINE_KEPT = 12, 64, 8  # steps; rooms drawn then, and how many of them are kept
SAVE_EVERY_S, LOOK_EVERY_S = 90, 300
_CALIBRATION_BATCHES = 12
_POOL, _SHOWINGS = 6000, 5  # scenes kept to be shown again, and how often each is shown


class SceneStream(IterableDataset):
    """Endless (pixels, kind, target); the worker and the first step seed it.

    Drawing a scene costs as much as learning from it, so each is shown some times, far apart, mirrored or not and in
    slightly different light.
    """

    def __init__(self, scenes: Scenes, seed: int, first: int):
        self.scenes, self.seed, self.first = scenes, seed, first

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        cv2.setNumThreads(1)
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, self.first, info.id if info else 0])
        pool: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        while True:
            if len(pool) < _POOL or rng.random() < 1 / _SHOWINGS:
                pixels, faces = self.scenes.draw(rng)
                scene = pixels, *assign(faces)
                if len(pool) < _POOL:
                    pool.append(scene)
                else:
                    pool[rng.integers(_POOL)] = scene
            else:
                scene = pool[rng.integers(_POOL)]
            yield _shown(rng, *scene)


def _shown(
    rng: np.random.Generator, pixels: np.ndarray, kind: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if rng.random() < 0.5:
        pixels = cv2.flip(pixels, 1)
        kind, target = mirrored(kind, target)
    curve = np.arange(256) * math.exp(rng.normal(0, 0.1)) + rng.normal(0, 5)
    return cv2.LUT(pixels, curve.clip(0, 255).astype(np.uint8)), kind, target


class Average:
    """A slow copy of the weights; what is evaluated and exported."""

    def __init__(self, net: Detector):
        self.net = copy.deepcopy(net).eval()
        self.steps = 0

    @torch.no_grad()
    def follow(self, net: Detector) -> None:
        self.steps += 1
        keep = min(0.999, self.steps / (self.steps + 20))
        for mine, theirs in zip(self.net.state_dict().values(), net.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - keep)
            else:
                mine.copy_(theirs)


class Trainer:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.path = Path(options.work) / "last.pt"
        self.scenes = Scenes(training_frames(options.faces, Path(options.work)))
        self.tune = [fit(f) for f in read_frames(options.faces, ("tune",))]
        self.rooms = empty_views([f for f in self.tune if not f.faces], options.seed)
        self.phase, self.spent, self.step, self.said = "float", 0.0, 0, 0
        self.rng = np.random.default_rng([options.seed, 1])
        self.hard: deque[np.ndarray] = deque(maxlen=_HARD_ROOMS)
        torch.manual_seed(options.seed)
        self._take(Detector())
        if self.path.exists():
            self._resume()
        elif options.start:
            self.phase = "folded"
            net = Detector()
            load_tflite(net, options.start)
            self._take(net)

    def run(self) -> Detector:
        """The phases that are left; returns the averaged, quantised net."""
        budget = 60 * self.options.minutes
        start = 0.0
        fold_at = 0.0 if self.options.start else self.options.fold_at
        for phase, end in (("float", fold_at), ("folded", self.options.quantise_at), ("quant", 1.0)):
            if self.phase == phase:
                self._phase(start, end * budget, TOP_RATES[phase])
                self._advance()
            start = end * budget
        return self.average.net

    def _take(self, net: Detector) -> None:
        self.net = net.to(memory_format=torch.channels_last)
        self.average = Average(self.net)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), weight_decay=1e-4)

    def _advance(self) -> None:
        """On to the next phase, with the average for a start."""
        if self.phase == "quant":
            return
        net = copy.deepcopy(self.average.net)
        if self.phase == "float":
            fold(net)
            equalise(net)
            self.phase = "folded"
        else:
            calibrate(net, self._batches())
            net.fix_heads()
            self.phase = "quant"
        self._take(net)
        self._save()

    def _phase(self, start: float, end: float, top_rate: float) -> None:
        self.net.train()
        loss_of = Loss()
        clock = saved = looked = time.monotonic()
        totals: dict[str, float] = {}
        for pixels, kind, target in self._loader():
            now = time.monotonic()
            self.spent, clock = self.spent + now - clock, now
            if self.spent >= end:
                break
            done = (self.spent - start) / (end - start)
            warm = min(1.0, (self.average.steps + 1) / 200)
            for group in self.optimiser.param_groups:
                group["lr"] = top_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
            if self.step % _MINE_EVERY == 0:
                self._mine()
            self._show_hard(pixels, kind)
            parts = loss_of(self.net(_input(pixels)), kind, target)
            self.optimiser.zero_grad(set_to_none=True)
            (_SCORE_WEIGHT * parts["score"] + parts["box"] + _POINTS_WEIGHT * parts["points"]).backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
            self.optimiser.step()
            self.average.follow(self.net)
            self.step += 1
            for name, value in parts.items():
                totals[name] = totals.get(name, 0.0) + float(value.detach())
            if now - saved > SAVE_EVERY_S:
                self._save()
                self._say(totals)
                saved, totals = now, {}
            if now - looked > LOOK_EVERY_S:
                self._look()
                looked = now
        self._save()
        self._look()

    @torch.no_grad()
    def _mine(self) -> None:
        """Draws empty rooms and keeps those on which the averaged net is surest of a face."""
        rooms = np.stack([light(self.rng, self.scenes.room(self.rng)) for _ in range(_MINED)])
        surest = self.average.net(_input(torch.from_numpy(rooms)))[..., 0].amax(1)
        self.hard.extend(rooms[surest.argsort(descending=True)[:_MINE_KEPT].numpy()])

    def _show_hard(self, pixels: torch.Tensor, kind: torch.Tensor) -> None:
        count = len(pixels) // _HARD_SHARE
        for place, room in enumerate(self.rng.integers(len(self.hard), size=count)):
            flip = self.rng.random() < 0.5
            pixels[place] = torch.from_numpy(cv2.flip(self.hard[room], 1) if flip else self.hard[room])
        kind[:count] = NEGATIVE

    def _loader(self) -> Iterator:
        stream = SceneStream(self.scenes, self.options.seed, self.step)
        return iter(DataLoader(stream, self.options.batch, num_workers=self.options.workers))

    def _batches(self) -> Iterator[torch.Tensor]:
        for _, (pixels, _, _) in zip(range(_CALIBRATION_BATCHES), self._loader(), strict=False):
            yield _input(pixels)

    def _say(self, totals: dict[str, float]) -> None:
        count = max(1, self.step - self.said)
        self.said = self.step
        losses = "  ".join(f"{name} {value / count:.4f}" for name, value in totals.items())
        print(f"{self.phase} {self.spent / 60:5.1f} min  step {self.step}  {losses}", flush=True)

    def _look(self) -> None:
        """The averaged net on the tune part, at the threshold that its own empty rooms ask for."""
        network = as_network(self.average.net)
        threshold = choose_threshold([detect(network, f) for f in self.rooms], self.options.false_per_100)
        figures = measure(self.tune, [detect(network, f.pixels, threshold) for f in self.tune], threshold)
        print(f"  tune at {threshold}: {figures}", flush=True)

    def _save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "seed": self.options.seed,
            "phase": self.phase,
            "spent": self.spent,
            "step": self.step,
            "net": self.net.state_dict(),
            "average": self.average.net.state_dict(),
            "followed": self.average.steps,
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, self.path.with_suffix(".new"))
        self.path.with_suffix(".new").replace(self.path)

    def _resume(self) -> None:
        state = torch.load(self.path, weights_only=True)
        self.phase, self.spent, self.step = state["phase"], state["spent"], state["step"]
        self.said = self.step
        self._take(shaped_for(self.phase))
        self.net.load_state_dict(state["net"])
        self.average.net.load_state_dict(state["average"])
        self.average.steps = state["followed"]
        self.optimiser.load_state_dict(state["optimiser"])
        print(f"resumed {self.phase} at {self.spent / 60:.1f} min", flush=True)


def shaped_for(phase: str) -> Detector:
    net = Detector()
    if phase != "float":
        fold(net)
    if phase == "quant":
        set_mode(net, "quant")
    return net


def _input(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels.float() / 256)[:, None].to(memory_format=torch.channels_last)


def as_network(net: Detector):
    """The torch net as metrics want it: a uint8 picture in, two int8 heads out."""
    net.eval()

    @torch.no_grad()
    def network(pixels: np.ndarray) -> list[np.ndarray]:
        out = net(_input(torch.from_numpy(pixels)[None]))[0]
        steps = (out * 16).round().clamp(-128, 127).to(torch.int8).numpy()
        return [steps[:300], steps[300:]]

    return network


def empty_views(rooms: list[Frame], seed: int, each: int = 20) -> list[np.ndarray]:
    """Views of empty rooms, cropped, turned and lit by chance: more to err on than rooms."""
    scenes, rng = Scenes(rooms), np.random.default_rng(seed)
    return [light(rng, scenes.room(rng)) for _ in range(each * len(rooms))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", required=True, help="folder with detect/ in it")
    parser.add_argument("--start", type=Path, help="a detector.tflite to go on from, when there is no checkpoint")
    parser.add_argument("--work", default=WORK, help="checkpoints (resumed from if there)")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--fold-at", type=float, default=0.45, help="part of the time that is over by then")
    parser.add_argument("--quantise-at", type=float, default=0.85, help="likewise")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--false-per-100", type=float, default=1.0, help="false boxes to allow")
    parser.add_argument("--no-export", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_memory()
    Trainer(options).run()
    if not options.no_export:
        from models.detector.export import export

        export(Path(options.work) / "last.pt", options.faces, options.false_per_100)


if __name__ == "__main__":
    main()
