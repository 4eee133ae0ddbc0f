"""The kernels a machine runs. Every set is a module with the same functions; results are equal bit for bit.

    prepare(pack, weights, bias, taps, cout, group, zero, shift, linear)
        once per operator after loading: rewrite its weights (int8) and biases (int32) in place as the set
        likes them. The pack's layouts stand in firmware/nn/pack.py; zero: the input's zero point + 128.
        (sum + 2**(shift - 1) + 1) >> shift is TFLite's rounding for a ReLU; a linear output rounds halves
        away from zero. Shift 0: each channel has a multiplier, and nothing of it is folded into the bias
    conv3x3, conv1x1, dw3x3, add, avgpool (arena, pack, 0, record)
        one whole operator; a fully connected layer is a conv1x1 of one pixel
    scaled (arena, pack, 0, record)
        conv3x3, conv1x1 or dw3x3 with a multiplier for each channel, by the record's weights per output
    fill(arena, border)
        a tensor's border, after its operator has run
    load(arena, pixels, record)
        8-bit grey into the input tensor; with 16 channels in 4x4 patches (firmware/nn/pack.py)
    store(arena, out, record)
        a tensor as int8, without its border
    clear(buffer, n)
        n zero bytes

Sets: the ESP32-S3's vector unit (s3), viper (kernels_viper), plain bytecode (kernels_plain).

`record` and `border` are array("i"), made once by firmware/nn/model.py; how activations are encoded in the
arena is the set's own affair as long as `load`, `fill` and `store` agree. Arena, pack and every tensor
start are 16-byte aligned. Kernels neither allocate nor check: model.py has checked the pack. Row order as
the arena plan demands (firmware/nn/pack.py).
"""

import sys

from firmware.base.compat import const

_XTENSAWIN = const(10)
_loaded = []


def best():
    """The fastest set this machine can run: vector unit, viper or plain bytecode."""
    found = machine()
    if found is not None:
        from firmware.nn.s3 import Kernels

        return Kernels(found)
    try:
        from firmware.nn import kernels_viper

        return kernels_viper
    except (SyntaxError, ValueError):  # no native code: of a source, or of an .mpy made for another processor
        from firmware.nn import kernels_plain

        return kernels_plain


def machine():
    """The vector unit's routines (firmware/nn/s3), None without an ESP32-S3."""
    if not _loaded:
        _loaded.append(_load_machine())
    return _loaded[0]


def has_vector_unit(implementation) -> bool:
    """Is sys.implementation that of an ESP32-S3 which loads machine code?"""
    architecture = (getattr(implementation, "_mpy", 0) >> 10) & 15
    return architecture == _XTENSAWIN and "ESP32S3" in getattr(implementation, "_machine", "")


def _load_machine():
    if not has_vector_unit(sys.implementation):
        return None
    try:
        from firmware.nn.s3 import routines
    except (ImportError, ValueError):
        return None
    return routines
