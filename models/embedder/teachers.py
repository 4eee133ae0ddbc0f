"""The two teachers' embeddings: of the clean training images, or of whatever view is shown (their terms: card.md)."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from models.data import CACHE, Faces, decode
from models.onnx_torch import OnnxModule

MOBILEFACENET = "mobilefacenet_foamliu_dyn.onnx"
MEAN = np.float32([0.485, 0.456, 0.406])
STD = np.float32([0.229, 0.224, 0.225])


def unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def mobilefacenet(faces_dir: Path, faces: Faces, batch: int = 64) -> np.ndarray:
    """Unit float32 [n, 128] for every row of `faces`, cached."""
    path = CACHE / "teacher_mobilefacenet.npy"
    if path.exists() and len(cached := np.load(path)) == len(faces.files):
        return cached
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    teacher = _teacher(faces_dir / "teachers" / MOBILEFACENET, device)
    pictures = decode(faces_dir / "matcher/images.zip", faces.files, colour=True)
    found: list[np.ndarray] = []
    for start in range(0, len(faces.files), batch):
        views = np.stack([next(pictures) for _ in faces.files[start : start + batch]])
        views = (views.astype(np.float32) / 255 - MEAN) / STD
        pixels = torch.from_numpy(np.ascontiguousarray(views.transpose(0, 3, 1, 2)))
        found.append(teacher(pixels.to(device)).cpu().numpy())
        if start % (batch * 50) == 0:
            print(f"teacher MobileFaceNet: {start}/{len(faces.files)} images", file=sys.stderr, flush=True)
    embeddings = unit(np.concatenate(found))
    np.save(path, embeddings)
    return embeddings


def edgeface(faces_dir: Path, faces: Faces) -> np.ndarray:
    """Unit float32 [n, 512] for every row of `faces`, from the stored int8 embeddings."""
    stored = np.load(faces_dir / "matcher/teacher_edgeface_xs_int8.npz")
    place = {str(name): row for row, name in enumerate(stored["files"])}
    return unit(stored["emb"][[place[str(name)] for name in faces.files]])


class Live:
    """Both teachers on the very views whose middle the student gets: on a GPU as torch modules, else by onnxruntime.

    Called with pixels [n, 1, 112, 112] (grey / 256), or with `colour` ones; returns unit [n, 128] of MobileFaceNet and
    unit [n, 512] of EdgeFace.
    """

    def __init__(self, folder: Path, device: torch.device):
        names = (MOBILEFACENET, "edgeface_xs_dyn.onnx")
        self.near, self.far = (_teacher(folder / name, device) for name in names)
        self.mean, self.std = (torch.from_numpy(v)[:, None, None].to(device) for v in (MEAN, STD))

    def __call__(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.colour((pixels * (256 / 255)).expand(-1, 3, -1, -1).contiguous())

    @torch.no_grad()
    def colour(self, colour: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of whole faces, [n, 3, 112, 112] in 0..1, red first."""
        near, far = self.near((colour - self.mean) / self.std), self.far((colour - 0.5) / 0.5)
        return F.normalize(near.float()), F.normalize(far.float())


def _teacher(path: Path, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """On a CPU onnxruntime is the faster, where there is one."""
    if device.type == "cpu" and importlib.util.find_spec("onnxruntime"):
        return _on_cpu(path)
    return OnnxModule(path).to(device).eval()


def _on_cpu(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: torch.from_numpy(session.run(None, {name: x.numpy()})[0])
