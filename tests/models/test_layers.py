"""What is trained ships: quantised torch layers, the numpy simulation and the TFLite kernels agree."""

import numpy as np
import pytest

from models.runtime import Int8Model
from models.simulate import read_tflite, run

torch = pytest.importorskip("torch", reason="training needs torch (the `train` extra)")
pytest.importorskip("ai_edge_litert", reason="writing .tflite needs ai-edge-litert (the `train` extra)")

from models import layers  # noqa: E402
from models.layers import Chain, Conv, Linear, Residual, image_quant  # noqa: E402
from models.tflite_writer import write_tflite  # noqa: E402

SIDE = 24


def small_net(seed: int) -> Chain:
    """Every kind of layer, with channels of very unlike gain, as training leaves them."""
    torch.manual_seed(seed)
    net = Chain(
        Conv("conv3x3", 1, 16, stride=2),
        Conv("dw3x3", 16, 16),
        Conv("conv1x1", 16, 32),
        Residual(Conv("dw3x3", 32, 32), Conv("conv1x1", 32, 32)),
        Conv("dw3x3", 32, 32, stride=2),
        Conv("conv1x1", 32, 16),
        Linear(16, SIDE // 4, SIDE // 4, 16),
    )
    net.link(image_quant())
    with torch.no_grad():
        for layer in layers.weighted(net):
            if isinstance(layer, Conv):
                layer.bn.weight.uniform_(0.2, 3.0)
                layer.bn.bias.normal_(0, 0.3)
    net(pixels(seed + 1, 64))
    return net.eval()


def pixels(seed: int, count: int):
    values = np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8)
    values[0], values[1] = 0, 255
    return torch.from_numpy(values).float()[:, None] / 256


def export(net: Chain) -> bytes:
    builder = layers.GraphBuilder("small", SIDE, SIDE)
    return write_tflite(builder.finish([net.emit(builder, builder.input)], {}))


@pytest.mark.parametrize("seed", range(3))
def test_fake_quantisation_equals_the_reference_kernels(seed, tmp_path):
    net = small_net(seed)
    layers.fold(net)
    layers.equalise(net)
    layers.calibrate(net, [pixels(9, 32)])
    images = pixels(10, 16)
    with torch.no_grad():
        steps = (net(images) / net[-1].out.scale).numpy()
    path = tmp_path / "small.tflite"
    path.write_bytes(export(net))
    greys = (images[:, 0] * 256).numpy().astype(np.uint8)
    reference = np.stack([Int8Model(path).run(grey)[0].reshape(-1) for grey in greys])
    assert reference.std() > 5
    np.testing.assert_array_equal(steps, reference)
    np.testing.assert_array_equal(run(read_tflite(path), greys)[0].reshape(len(greys), -1), reference)


def test_folding_and_equalising_keep_the_function():
    net = small_net(0)
    images = pixels(4, 8)
    with torch.no_grad():
        before = net(images)
        layers.fold(net)
        torch.testing.assert_close(net(images), before, rtol=1e-4, atol=1e-4)
        spread = net[1].weight.abs().amax((1, 2, 3))
        layers.equalise(net)
        torch.testing.assert_close(net(images), before, rtol=1e-4, atol=1e-4)
    evened = net[1].weight.abs().amax((1, 2, 3))
    assert evened.max() / evened.min() < spread.max() / spread.min()


def test_quantised_weights_still_learn():
    net = small_net(1)
    layers.fold(net)
    layers.calibrate(net, [pixels(9, 32)])
    net(pixels(5, 8)).square().mean().backward()
    assert all(layer.weight.grad.abs().sum() > 0 for layer in layers.weighted(net))


def test_a_layer_that_would_shift_too_little_is_not_exported():
    net = small_net(2)
    layers.fold(net)
    layers.calibrate(net, [pixels(9, 32)])
    net[0].out.exponent.fill_(30)
    with pytest.raises(ValueError, match="calibrate again"):
        export(net)
