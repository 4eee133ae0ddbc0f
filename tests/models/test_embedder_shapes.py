"""What is trained fits the panel; the teachers as torch modules are the same networks."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from models import layers  # noqa: E402
from models.arena import plan_arena  # noqa: E402
from models.embedder.net import Embedder  # noqa: E402

TEACHERS = Path(__file__).resolve().parents[3] / "shared" / "faces" / "teachers"


def test_the_net_fits_the_budgets():
    torch.manual_seed(1)
    net = Embedder()
    layers.fold(net)
    layers.calibrate(net, [torch.rand(2, 1, 96, 96)])
    graph = net.graph({})
    assert graph.macs <= 100_000_000
    assert graph.weight_bytes <= 600 * 1024
    assert plan_arena(graph).arena_bytes <= 128 * 1024


@pytest.mark.parametrize("name", ["mobilefacenet_foamliu_dyn", "edgeface_xs_dyn"])
def test_teachers_equal_onnxruntime(name):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = TEACHERS / f"{name}.onnx"
    if not path.exists():
        pytest.skip("the shared teachers are not here")
    from models.onnx_torch import OnnxModule

    x = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(1)) * 2 - 1
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(OnnxModule(path)(x), torch.from_numpy(expected), rtol=1e-3, atol=1e-3)
