"""Embeddings of the clean training images by the two teachers (their terms: card.md)."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from models.data import CACHE, Faces, decode

_MEAN = np.float32([0.485, 0.456, 0.406])
_STD = np.float32([0.229, 0.224, 0.225])


def unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def mobilefacenet(faces_dir: Path, faces: Faces, batch: int = 64) -> np.ndarray:
    """Unit float32 [n, 128] for every row of `faces`, cached."""
    path = CACHE / "teacher_mobilefacenet.npy"
    if path.exists() and len(cached := np.load(path)) == len(faces.files):
        return cached
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(
        str(faces_dir / "teachers/mobilefacenet_foamliu_dyn.onnx"),
        options,
        providers=["CPUExecutionProvider"],
    )
    name = session.get_inputs()[0].name
    pictures = decode(faces_dir / "matcher/images.zip", faces.files, colour=True)
    found: list[np.ndarray] = []
    for start in range(0, len(faces.files), batch):
        views = np.stack([next(pictures) for _ in faces.files[start : start + batch]])
        views = (views.astype(np.float32) / 255 - _MEAN) / _STD
        found.append(session.run(None, {name: np.ascontiguousarray(views.transpose(0, 3, 1, 2))})[0])
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
