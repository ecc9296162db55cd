"""Which functions of a script score a stream of tokens, and with what main calls them."""

import ast
import contextlib
import copy
import functools
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mulligan.review.smoke.slices import Script, last_name, loaded, parameters

SHORTENED = {"seq_len": (256, 256), "chunk": (256, 256), "batch": (8192, 2048)}
"""Parts of names of settings: the value from which on one is set to the other, in tokens; a batch is often cut in eight."""
LOSSES = frozenset({"cross_entropy", "nll_loss", "log_softmax", "logsumexp"})


MOST_CALLS = 3
Prepare = Callable[[nn.Module], Callable[[], Any]]
Given = tuple[list[ast.expr], list[ast.keyword]]


@dataclass(frozen=True)
class Scorer:
    """A function at the top level. `calls`: each, for a network, returns a call of it as main has it."""

    name: str
    calls: list[Prepare]


def scorers(script: Script, kind: str) -> Iterator[Scorer]:
    """Yield the functions that are given the network, of class `kind`, and come to a loss."""
    own = {node.name: node for node in script.tree.body if isinstance(node, ast.FunctionDef)}
    names, others = network_names(script, kind)
    derived = derived_names(script, names | others.keys())
    reach = {name: reached(name, own) for name in own}
    for name, node in own.items():
        function = script.globals.get(name)
        returns = any(isinstance(one, ast.Return) and one.value is not None for one in ast.walk(node))
        if (
            not isinstance(function, types.FunctionType)
            or not returns
            or node.args.vararg
            or not reach[name] & (LOSSES | {*parameters(node)})
        ):
            continue
        calls = [call for call in calls_of(script, name) if mentioned(call) & derived]
        if calls:
            yield Scorer(name, [_preparer(script, function, call, (names, others)) for call in calls[:MOST_CALLS]])


def mentioned(call: Given) -> set[str]:
    """Return the names in what a call gives."""
    return {name for value in (*call[0], *(keyword.value for keyword in call[1])) for name in loaded(value)}


def _preparer(
    script: Script, function: types.FunctionType, call: Given, bound: tuple[set[str], dict[str, ast.expr]]
) -> Prepare:
    def prepare(network: nn.Module) -> Callable[[], Any]:
        names, others = bound
        script.given = dict.fromkeys(names, network)
        for name, value in others.items():
            with contextlib.suppress(Exception):
                script.given = {**script.given, name: script.value(value)}
        arguments = [script.value(value) for value in call[0]]
        options = {keyword.arg: script.value(keyword.value) for keyword in call[1] if keyword.arg}
        return functools.partial(function, *arguments, **options)

    return prepare


def make_folders(script: Script) -> None:
    """Make the folders that the script makes before it writes, as far as they may be made."""
    for call in [call for name in ("makedirs", "mkdir") for call in script.calls.get(name, [])]:
        with contextlib.suppress(Exception):
            script.value(call)


def calls_of(script: Script, name: str) -> Iterator[Given]:
    """Yield what a function is given, where it is called and where it is handed on to be called with what follows it."""
    for call in script.calls.get(name, []):
        if isinstance(call.func, ast.Name) and not _within(script, call, name):
            yield call.args, call.keywords
    for call in (call for calls in script.calls.values() for call in calls):
        for i, value in enumerate(call.args):
            if isinstance(value, ast.Name) and value.id == name and i + 1 < len(call.args):
                yield call.args[i + 1 :], call.keywords


def _within(script: Script, node: ast.AST, name: str) -> bool:
    function = script.function_of(node)
    return function is not None and (function.name == name or _within(script, function, name))


def network_names(script: Script, kind: str) -> tuple[set[str], dict[str, ast.expr]]:
    """Return the names bound to what makes a network, and those bound to something else that comes with one, and to what.

    What makes a network is its class, or a function that calls one; such a function may return several things.
    """
    own = {node.name: node for node in script.tree.body if isinstance(node, ast.FunctionDef)}
    makers = {kind} | {name for name in own if kind in reached(name, own)}
    found, pairs = set[str](), list[tuple[str, ast.expr]]()
    for node in ast.walk(script.tree):
        if isinstance(node, ast.Assign) and called(node.value) & makers:
            for target in node.targets:
                several = returned(node.value, own) if isinstance(target, ast.Tuple) else []
                if isinstance(target, ast.Tuple) and len(several) == len(target.elts):
                    pairs += [
                        (one.id, value) for one, value in zip(target.elts, several, strict=True) if isinstance(one, ast.Name)
                    ]
                else:
                    found |= {one.id for one in ast.walk(target) if isinstance(one, ast.Name)}
    found |= {name for name, value in pairs if isinstance(value, ast.Name) and value.id in found}
    return found, {name: value for name, value in pairs if name not in found}


def returned(node: ast.expr, own: dict[str, ast.FunctionDef]) -> list[ast.expr]:
    """Return what a call of a function at the top level returns, by its last statement that returns several things."""
    function = own.get(last_name(node.func)) if isinstance(node, ast.Call) else None
    values = [one.value for one in ast.walk(function) if isinstance(one, ast.Return)] if function else []
    return next((value.elts for value in reversed(values) if isinstance(value, ast.Tuple)), [])


def derived_names(script: Script, names: set[str]) -> set[str]:
    """Return names and those that are bound to what mentions one of them, and so on."""
    found, before = set(names), set[str]()
    bound = [(node.targets, node.value) for node in ast.walk(script.tree) if isinstance(node, ast.Assign)]
    bound += [([node.target], node.value) for node in ast.walk(script.tree) if isinstance(node, ast.AnnAssign) and node.value]
    while found != before:
        before = set(found)
        for targets, value in bound:
            if loaded(value) & found:
                found |= {one.id for one in targets if isinstance(one, ast.Name)}
    return found


def called(node: ast.AST) -> set[str]:
    """Return the last names of what a node calls."""
    return {last_name(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)}


def reached(name: str, own: dict[str, ast.FunctionDef]) -> set[str]:
    """Return the last names of all that a function calls, itself or by the functions that it calls."""
    found, waiting, done = set[str](), [name], set[str]()
    while waiting:
        at = waiting.pop()
        if at in own and at not in done:
            done.add(at)
            new = called(own[at])
            found |= new
            waiting += new
    return found


def shorten(script: Script) -> None:
    """Cut windows, chunks and batches in the script's settings, so that a toy shard has several."""
    for value in list(script.globals.values()):
        if isinstance(value, type) and value.__module__ == script.globals.get("__name__"):
            for name, length in list(vars(value).items()):
                for part, (longest, instead) in SHORTENED.items():
                    if type(length) is int and length > longest and part in name.lower():
                        setattr(value, name, instead)


def thinned(network: nn.Module, works: Callable[[nn.Module], Any]) -> nn.Module:
    """Return a copy of which only the first and the last block do anything, so that it is quick; a whole one if that fails."""
    blocks = max((part for part in network.modules() if isinstance(part, nn.ModuleList)), key=len, default=None)
    before = [(block, block.forward) for block in list(blocks or ())[1:-1]]
    for block, _ in before:
        block.forward = _pass
    try:
        works(network)
    except Exception:
        for block, forward in before:
            block.forward = forward
    return copy.deepcopy(network)


def _pass(x: torch.Tensor, *_args: Any, **_options: Any) -> torch.Tensor:
    return x
