"""The training loop: from a state to a later one, with observers riding along.

`advance` never synchronises per step: losses stay on the device and are read, and checked to be finite, every
`CHECK_EVERY_STEPS` steps. Cutting a run anywhere and going on from the state gives the same bits. With several ranks, all
make one path: what a step reads is shared out, and whatever decides how it goes on is agreed (B16).
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from mulligan.core.error import DivergedError
from mulligan.core.execution import Execution
from mulligan.model.config import ModelConfig
from mulligan.model.gpt import GPT
from mulligan.numerics.config import GridConfig
from mulligan.numerics.fake_quantize import Swap
from mulligan.numerics.trigger import Moment
from mulligan.train.config import ParameterSwap, SecondsBudget, TrainConfig
from mulligan.train.loader import make_batches
from mulligan.train.optimizer import Optimizer
from mulligan.train.parameter_swap import parameter_swap
from mulligan.train.schedule import Schedule
from mulligan.train.sequence_curriculum import row_lengths
from mulligan.values.corpus import TokenStream
from mulligan.values.observer import Observer
from mulligan.values.train_state import METRICS, TrainState

CHECK_EVERY_STEPS = 10
COMPILED_GRAPHS = 64
"""Of one forward function in a process: each network, batch and length of rows that trains there is a graph of its own."""


class Trainer:
    """One run of `config` on `stream`; `step` steps are done, `elapsed_seconds` of training clock are spent."""

    def __init__(
        self,
        config: TrainConfig,
        model: ModelConfig,
        stream: TokenStream,
        seed: int,
        execution: Execution,
        observers: Sequence[Observer] = (),
        grid: GridConfig | None = None,
        stop: int | None = None,
    ) -> None:
        self.config, self.execution, self.observers = config, execution, observers
        self.ranks = execution.ranks
        self.stop = stop
        self.device = torch.device(execution.device)
        self.schedule = Schedule(config)
        self.row_lengths = row_lengths(config, self.schedule)
        self.model_config = model
        self.model = GPT(model, seed).to(self.device)
        self.model.train()
        self._wait()
        self.weights = dict(self.model.named_parameters())
        self.optimizer = Optimizer(config.optimizer, self.model, config.precision)
        self.swap: Swap | None = None
        if isinstance(config.fake_quantize, ParameterSwap):
            if grid is None:
                raise ValueError("train.fake_quantize needs the recipe's grid; give it to the trainer.")
            self.swap = parameter_swap(self.weights, grid, config.fake_quantize.match)
        self.batches = make_batches(config, stream, seed)
        self.batches.share = (self.ranks.rank, self.ranks.world_size)
        self.step = 0
        self.elapsed_seconds = 0.0
        self._clock_zero = 0.0
        self._rows: dict[str, list[Any]] = {name: [] for name in METRICS}
        self._checked = 0

    def begin(self) -> None:
        """Show the initial weights to the observers; call once, on a run that starts at step 0."""
        for observer in self.observers:
            observer.begin(self.weights)

    @property
    def finished(self) -> bool:
        """Whether the budget is spent, or the step reached at which this run was to `stop`."""
        if isinstance(self.config.budget, SecondsBudget):
            return self.elapsed_seconds >= self.config.budget.seconds
        return self.step >= (self.schedule.num_steps or 0) or (self.stop is not None and self.step >= self.stop)

    def advance(self, *, until_step: int | None = None, for_seconds: float | None = None) -> None:
        """Train until `until_step`, for about `for_seconds`, or to the end of the budget, whichever comes first.

        DivergedError when a loss is NaN or infinite: the weights in memory are then worthless. Several ranks stop for
        `for_seconds` only where losses are read.
        """
        self.ranks.meet()  # waiting for a rank that publishes is not training time
        began = time.monotonic()
        self._clock_zero = began - self.elapsed_seconds
        while not self.finished and (until_step is None or self.step < until_step):
            self._one_step()
            looks = self.step % CHECK_EVERY_STEPS == 0
            if looks:
                self._check()
            if for_seconds is not None and (looks or self.ranks.world_size == 1):
                over = time.monotonic() - began >= for_seconds
                if self.ranks.from_first("over" if over else "go on") == "over":
                    break
        self._check()

    def _synchronize(self) -> None:
        """Wait for the device, so that a budget in seconds counts work done and not work queued."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _clock(self) -> float:
        """Return the training clock; where the budget is in seconds, that of the rank that is furthest."""
        if not isinstance(self.config.budget, SecondsBudget):
            return time.monotonic() - self._clock_zero
        self._synchronize()
        return self.ranks.largest(time.monotonic() - self._clock_zero)

    def _network(self) -> Callable[..., Any]:
        """Return the network as it is now; what is swapped in it later is compiled anew and cannot be folded away (B3)."""
        return _compiled(self.model) if self.execution.compile else self.model

    def _wait(self) -> None:
        """Take what begins late back to before it began; the next step judges its trigger anew."""
        self._swapping = False
        self.model.looping = self.config.recurrence_start is None
        self.loss = self._network()

    def _begin_recurrence(self, moment: Moment) -> None:
        start = self.config.recurrence_start
        if start is not None and not self.model.looping and start.fires(moment):
            self.model.looping = True
            self.loss = self._network()

    def _one_step(self) -> None:
        moment = self.schedule.before(self.step, self.elapsed_seconds)
        self._begin_recurrence(moment)
        momentum = self.schedule.momentum(self.step)
        with self._rounded(moment):
            loss = self._gradients()
        norm = self._clip()
        self.optimizer.step(moment, momentum, self.schedule.decay_scale(moment))
        self.model.zero_grad(set_to_none=True)
        self.step += 1
        for name, value in zip(METRICS, (loss, moment.lr_scale, momentum, norm), strict=True):
            self._rows[name].append(value)
        self.elapsed_seconds = self._clock()
        after: Moment = self.schedule.after(moment, self.elapsed_seconds)
        for observer in self.observers:
            observer.observe(after, self.weights)

    def _rounded(self, moment: Moment) -> AbstractContextManager[None]:
        """Return the context of one step's gradients: rounded weights from the trigger on, which is latched."""
        fake = self.config.fake_quantize
        if self.swap is None or not isinstance(fake, ParameterSwap):
            return nullcontext()
        self._swapping = self._swapping or fake.start.fires(moment)
        return self.swap.rounded() if self._swapping else nullcontext()

    def _gradients(self) -> torch.Tensor:
        """Accumulate the gradients of one step, averaged over the ranks.

        Return the mean loss of this rank's rows in nats per token, still on the device.
        """
        parts = self.config.accumulation_steps
        part_tokens = self.schedule.batch_sizes.at(self.step) // parts
        seq_len = self.row_lengths.at(self.step)
        total = torch.zeros((), device=self.device)
        for _ in range(parts):
            inputs, targets = self.batches.next(self.device, part_tokens, seq_len)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
                loss = self.loss(inputs, targets).mean() / parts
            loss.backward()
            total += loss.detach()
        self.ranks.average([weight.grad for weight in self.weights.values() if weight.grad is not None])
        return total

    def _clip(self) -> torch.Tensor | float:
        """Clip the global gradient norm over all parameters; NaN in the metrics where clipping is off."""
        if not self.config.grad_clip_norm:
            return float("nan")
        return torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip_norm, foreach=True)

    def _check(self) -> None:
        """Read the losses that came since the last look; stop the run at the first that is not finite."""
        if self._checked == self.step:
            return
        for name in ("loss_nats", "grad_norm"):
            waiting = torch.stack([torch.as_tensor(value, device=self.device) for value in self._rows[name][self._checked :]])
            if name == "loss_nats":
                self.ranks.average([waiting])
            self._rows[name][self._checked :] = waiting.tolist()
        losses = self._rows["loss_nats"][self._checked :]
        bad = [i for i, loss in enumerate(losses) if not np.isfinite(loss)]
        if bad:
            raise DivergedError(
                f"The loss is {losses[bad[0]]} at step {self._checked + bad[0]} of {self.schedule.num_steps or 'a timed run'}. "
                "The states before it are kept. Lower the learning rates or set train.grad_clip_norm."
            )
        self._checked += len(losses)
        self.execution.progress("train", *self._done(), f"step {self.step}, loss {losses[-1]:.3f} nats")

    @property
    def last_loss(self) -> float:
        """Nats per token of the last step whose loss was read; NaN before the first."""
        return float(self._rows["loss_nats"][self._checked - 1]) if self._checked else float("nan")

    def _done(self) -> tuple[int, int]:
        if isinstance(self.config.budget, SecondsBudget):
            return int(self.elapsed_seconds), int(self.config.budget.seconds)
        return self.step, self.schedule.num_steps or 0

    def state(self) -> TrainState:
        """Return the state after `step` steps; it shares the tensors in memory, so save it before training on."""
        self._check()
        broken = [name for name, weight in self.weights.items() if not bool(weight.isfinite().all())]
        if broken:
            raise DivergedError(
                f"{broken[0]} is not finite after step {self.step}. The states before it are kept. Lower the learning rates."
            )
        metrics = {name: np.array(self._rows[name], dtype) for name, dtype in METRICS.items()}
        clocked = isinstance(self.config.budget, SecondsBudget)
        return TrainState(
            step=self.step,
            weights={name: weight.detach() for name, weight in self.weights.items()},
            optimizer=self.optimizer.state(),
            data_start=self.batches.start,
            data_cursor=self.batches.cursor,
            model=self.model_config.canonical(),
            metrics=metrics,
            elapsed_seconds=self.elapsed_seconds if clocked else None,
        )

    def load(self, state: TrainState) -> None:
        """Go on from `state`, bit for bit."""
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(state.weights[name])
        self._wait()
        self.optimizer.load_state(state.optimizer)
        self.batches.cursor = state.data_cursor
        self.step, self._checked = state.step, state.step
        self.elapsed_seconds = state.elapsed_seconds or 0.0
        self._rows = {name: list(column) for name, column in state.metrics.items()}

    def warm_up(self, num_steps: int) -> None:
        """Run `num_steps` real steps to compile and to fill caches, then roll everything back (B17)."""
        before = self.state()
        kept = TrainState(
            **{
                **vars(before),
                "weights": {name: tensor.clone() for name, tensor in before.weights.items()},
                "optimizer": {name: tensor.clone() for name, tensor in before.optimizer.items()},
            }
        )
        observers, self.observers = self.observers, ()
        for _ in range(num_steps):
            self._one_step()
        if not self.model.looping:  # the graph to come is compiled too
            self.model.looping = True
            self._one_step()
        self._synchronize()
        self.load(kept)
        self.observers = observers


def _compiled(model: GPT) -> Callable[..., Any]:
    """Return the network compiled for fixed shapes. Dynamo's own limit, 8 graphs a process, would end a study's ninth arm."""
    torch._dynamo.config.recompile_limit = COMPILED_GRAPHS
    compiled: Callable[..., Any] = torch.compile(model, fullgraph=True, dynamic=False)
    return compiled
