"""Calls that change something or that have a meaning of their own, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mulligan.review.flow import builtin, container, gradient, table, text
from mulligan.review.flow.value import Val

if TYPE_CHECKING:
    from mulligan.review.flow.library import Call
    from mulligan.review.flow.machine import Machine

_GROUPS: list[tuple[str, Callable[[Machine, Call], Val | None]]] = [
    ("backward", gradient.backward),
    ("step", gradient.step),
    ("zero_grad", gradient.zero_grad),
    ("grad", gradient.taken_gradient),
    ("load_state_dict", gradient.load_state),
    ("at index_add_ scatter_add_ index_put_ put_ index_copy_ scatter_ scatter_reduce_ index_add scatter_add", table.changed_at),
    ("CDLL PyDLL LoadLibrary load_inline cpp_extension", table.native),
    ("bincount histc unique", table.counted_up),
    ("gather take take_along_axis take_along_dim index_select embedding", table.gathered),
    ("clone copy cpu to float cuda half bfloat16 double astype type numpy", gradient.snapshot),
    ("detach view reshape flatten unsqueeze squeeze transpose permute expand ravel contiguous data_as data_ptr", gradient.view),
    ("deepcopy", gradient.deepcopy),
    (
        "parameters named_parameters state_dict modules named_modules children named_children buffers named_buffers",
        gradient.parts,
    ),
    ("sum mean nansum nanmean average fsum", table.total),
    ("max min amax amin", table.extreme),
    ("len numel size dim nelement element_size stat getsize", table.size),
    (
        "print log info write warning dump dumps debug writelines save savez save_file compress savez_compressed echo secho",
        text.reported,
    ),
    ("load loads read read_bytes load_file decompress fromfile memmap open glob read_text rglob iglob", text.loaded),
    ("enumerate zip list tuple sorted reversed set iter filter map product chain cycle islice", container.elements),
    ("items keys values", container.dict_view),
    ("append add extend put insert appendleft update put_nowait push", container.put),
    ("pop popleft get get_nowait popitem next getenv", container.taken),
    (
        "all_gather_object all_gather all_gather_into_tensor gather_object reduce_scatter reduce_scatter_tensor",
        container.gathered_from,
    ),
    ("setdefault", container.set_default),
    ("deque Queue SimpleQueue defaultdict Counter OrderedDict dict", container.new_container),
    ("range arange", container.ranged),
    ("int float bool str", text.number),
    ("Path join joinpath expanduser resolve", text.path_of),
    ("format replace strip rstrip lstrip split startswith endswith lower upper", text.string_method),
    ("encode id_to_piece IdToPiece decode decode_ids bytes bytearray fromhex DecodeIds", text.to_bytes),
    ("getattr", builtin.get_attribute),
    ("setattr", builtin.set_attribute),
    ("partial", builtin.partial),
    ("field", container.default_of),
    ("Thread submit spawn Process", builtin.started),
    ("stack cat concatenate concat hstack vstack", table.stacked),
    ("where minimum maximum fmin fmax", table.chosen),
    (
        "perf_counter time monotonic synchronize barrier manual_seed seed hasattr isinstance callable is_available",
        builtin.nothing,
    ),
]
KNOWN = {name: does for names, does in _GROUPS for name in names.split()}
