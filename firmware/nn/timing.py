"""How long a network takes on this machine, per operator; for benchmarks and the self-test."""

import gc

from firmware.base.ticks import ticks_diff, ticks_us


def profile(model, pixels, runs: int) -> tuple:
    """(microseconds of the fastest whole run, fastest microseconds per operator)."""
    gc.collect()
    best = [1 << 29] * model.op_count
    total = 1 << 29
    for _ in range(runs):
        model.load(pixels)
        started = ticks_us()
        for i in model.steps():
            now = ticks_us()
            best[i] = min(best[i], ticks_diff(now, started))
            started = now
        model.load(pixels)
        started = ticks_us()
        model.run()
        total = min(total, ticks_diff(ticks_us(), started))
    return total, best
