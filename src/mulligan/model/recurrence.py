"""Depth recurrence: a few layers in the middle are run several times.

What it does     Runs layers `first` to `last` `num_repeats` times more before going on, from `train.recurrence_start` on. The
                 longer order is halved anew: its first half feeds the skips of its second, last to first.
Why it may help  Depth without bytes: the repeated layers' weights are stored once.
Touches          model: the order of the layers.
Recipe           model.recurrence, train.recurrence_start
Cost             The time of the repeated layers, once it is on; skip weights for the longer order from the start.
Source           Universal transformers: Dehghani et al. 2018, arXiv:1807.03819; parameter-golf PR 1204, 1394, 1493.
Published        Two layers repeated from late on: about -2 to -3 mBPB (PR 1204). Whole stacks looped: +25 (PR 363).

The parameters are those of the longer order from step 0, so that nothing changes shape when the loop begins; scoring always
runs the longer order. The order itself is `ModelConfig.layer_order`.
"""

from collections.abc import Iterator

from mulligan.model.config import ModelConfig


def layers_and_skips(config: ModelConfig, looping: bool) -> Iterator[tuple[int, int | None, bool]]:
    """Yield, in the order of running, a layer, the number of the skip that enters it (None: none), whether its output is one.

    Skips come back last in, first out; an odd order leaves the last layer without.
    """
    order = config.layer_order(looping)
    num_encoder = len(order) // 2
    for position, layer in enumerate(order):
        entering = position - num_encoder
        yield layer, entering if 0 <= entering < num_encoder else None, position < num_encoder
