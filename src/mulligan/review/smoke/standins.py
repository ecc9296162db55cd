"""Stand-ins for what a CPU lacks: attention kernels, compilers, devices. They compute the same, slowly, or nothing."""

import contextlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

ATTENTION = frozenset({"flash_attn", "flash_attn_interface", "flash_attn_3"})
MOVES = frozenset({"cuda", "pin_memory"})


class Nothing:
    """Answers to every name and call with another one of its kind; of a decorator, with the function that it was given."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> "Nothing":
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing(f"{self._name}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the only argument, if it is a function or class to decorate; else nothing again."""
        return args[0] if len(args) == 1 and not kwargs and callable(args[0]) and not isinstance(args[0], Nothing) else self

    def __getitem__(self, key: Any) -> "Nothing":
        return self

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (object,)


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules that are not here: attention by its name, of `absent` an empty shell."""

    def __init__(self, absent: Iterable[str]) -> None:
        self.absent = set(absent)

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """Return the stand-in for a module, None where it is not one of ours."""
        if fullname.split(".")[0] in self.absent | ATTENTION:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return a module that has every name."""
        return _Shell(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Fill in what can be computed."""
        if module.__name__.split(".")[0] in ATTENTION:
            vars(module).update(flash_attn_func=attention, flash_attn_varlen_func=attention_by_lengths)


class _Shell(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing(f"{self.__name__}.{name}")


def attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *args: Any, causal: bool = False, **options: Any
) -> torch.Tensor:
    """Attend; tensors are (rows, positions, heads, width). `window_size`: positions to the left and right that are seen."""
    num_queries, num_keys = q.shape[1], k.shape[1]
    left, right = options.get("window_size") or (-1, -1)
    place = torch.arange(num_queries)[:, None] + (num_keys - num_queries)
    other = torch.arange(num_keys)[None, :]
    seen = torch.ones(num_queries, num_keys, dtype=torch.bool)
    if causal or right == 0:
        seen &= other <= place
    elif right > 0:
        seen &= other <= place + right
    if left >= 0:
        seen &= other >= place - left
    a, b, c = (tensor.to(q.dtype).transpose(1, 2) for tensor in (q, k, v))
    scale = options.get("softmax_scale")
    return F.scaled_dot_product_attention(a, b, c, attn_mask=seen, scale=scale, enable_gqa=True).transpose(1, 2)


def attention_by_lengths(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, cu_seqlens_q: Any, cu_seqlens_k: Any, *args: Any, **options: Any
) -> torch.Tensor:
    """Attend within segments that lie one after another; tensors are (positions, heads, width)."""
    spans = zip(_spans(cu_seqlens_q, len(q)), _spans(cu_seqlens_k, len(k)), strict=True)
    kept = {name: value for name, value in options.items() if name in ("causal", "window_size", "softmax_scale")}
    return torch.cat([attention(q[None, a], k[None, b], v[None, b], **kept)[0] for a, b in spans])


def _spans(ends: torch.Tensor, length: int) -> list[slice]:
    places = [min(int(end), length) for end in ends.tolist()]
    return [slice(a, b) for a, b in zip(places, [*places[1:], length], strict=True) if b > a]


class OnCPU(TorchFunctionMode):
    """Sends to the CPU what asks for another device; `seen` gets every function that is called, with its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None] | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function with CPU in the place of other devices."""
        if getattr(func, "__name__", "") in MOVES and args:
            return args[0]
        args = tuple(_here(value) for value in args)
        kwargs = {name: _here(value, name) for name, value in (kwargs or {}).items()}
        if kwargs.get("pin_memory"):
            kwargs["pin_memory"] = False
        result = func(*args, **kwargs)
        if self.seen is not None:
            self.seen(func, args, kwargs, result)
        return result


def _here(value: Any, name: str = "") -> Any:
    if isinstance(value, torch.device):
        return torch.device("cpu") if value.type == "cuda" else value
    if isinstance(value, str) and (value == "cuda" or value.startswith("cuda:")):
        return "cpu"
    return "cpu" if name == "device" and isinstance(value, int) else value


def install(absent: Iterable[str]) -> StandIns:
    """Put the stand-ins in place; return the finder, which may be told of further modules."""
    finder = StandIns(absent)
    sys.meta_path.append(finder)
    torch.compile = _not_compiled
    for name in ("set_device", "synchronize", "empty_cache", "reset_peak_memory_stats", "manual_seed", "manual_seed_all"):
        setattr(torch.cuda, name, lambda *args, **kwargs: None)
    for name in ("max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved", "current_device"):
        setattr(torch.cuda, name, lambda *args, **kwargs: 0)
    torch.cuda.device_count = lambda: 1
    torch.cuda.get_device_capability = lambda *args: (9, 0)
    torch.cuda.stream = lambda *args: contextlib.nullcontext()  # type: ignore[assignment]
    for name in ("Event", "Stream", "current_stream"):
        setattr(torch.cuda, name, lambda *args, _name=name, **kwargs: Nothing(_name))
    autocast = torch.amp.autocast_mode.autocast
    start = autocast.__init__

    def at_cpu(self: Any, device_type: str = "cuda", *args: Any, **kwargs: Any) -> None:
        start(self, "cpu" if device_type == "cuda" else device_type, *args, **kwargs)

    autocast.__init__ = at_cpu  # type: ignore[method-assign]
    return finder


def _not_compiled(model: Any = None, *args: Any, **kwargs: Any) -> Any:
    return model if model is not None else lambda function: function
