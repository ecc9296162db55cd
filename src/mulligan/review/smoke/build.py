"""Which class of a script is the network, and how the script makes one."""

import ast
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from mulligan.review.smoke.slices import NotFoundError, Script, last_name, loaded

ALIKE = 0.7
"""Share of the parts of the largest network from which on another one is as good."""


def build(scripts: Iterable[Script]) -> tuple[nn.Module, str, Script]:
    """Return the network as one of the scripts makes it, the first that can, the name of its class, and that script.

    NotFoundError where no call makes one; what the code raises, when every call fails, comes through.
    """
    problem: Exception = NotFoundError("no class of a network is made anywhere in the script")
    calls = ((script, call) for script in scripts for name in candidates(script) for call in script.calls.get(name, []))
    for script, call in calls:
        if makes(script, call) is None or inside_a_network(script, call):
            continue
        try:
            found = script.value(call)
        except Exception as error:
            problem = error
            continue
        if isinstance(found, nn.Module) and any(True for _ in found.parameters()):
            return found, last_name(call.func), script
    raise problem


def candidates(script: Script) -> list[str]:
    """Return the names of classes of networks that are made: first those of most parts, in the order in which they are made."""
    classes = network_classes(script.globals)
    bodies = {node.name: node for node in ast.walk(script.tree) if isinstance(node, ast.ClassDef)}
    made = {
        name: min(lines)
        for name in classes
        if (lines := [call.lineno for call in script.calls.get(name, []) if not inside_a_network(script, call)])
    }
    size = {name: len(parts(name, bodies, classes)) for name in made}
    return sorted(made, key=lambda name: (size[name] < ALIKE * max(size.values()), made[name]))


def network_classes(found: Mapping[str, Any]) -> dict[str, type[nn.Module]]:
    """Return the classes of networks among names, those of torch left out."""
    return {
        name: value
        for name, value in found.items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and not value.__module__.startswith("torch.")
        if value.forward is not nn.Module.forward  # else it only holds parts
    }


def parts(name: str, bodies: Mapping[str, ast.ClassDef], classes: Mapping[str, Any]) -> set[str]:
    """Return the classes of networks that one is built of, itself among them; of one from another file, by its own text."""
    found, waiting = set[str](), [name]
    while waiting:
        at = waiting.pop()
        if at in found:
            continue
        found.add(at)
        body = bodies.get(at) or _source_of(classes.get(at))
        if body is not None:
            made = {last_name(node.func) for node in ast.walk(body) if isinstance(node, ast.Call)}
            bases = {
                name
                for node in ast.walk(body)
                if isinstance(node, ast.ClassDef)
                for base in node.bases
                for name in loaded(base)
            }
            waiting += [other for other in made | bases if other in classes or other in bodies]
    return found


def _source_of(kind: type[nn.Module] | None) -> ast.AST | None:
    try:
        return ast.parse(inspect.getsource(kind)) if kind is not None else None
    except (OSError, TypeError, SyntaxError):
        return None


def makes(script: Script, call: ast.Call) -> type[nn.Module] | None:
    """Return the class of network that a call makes, None where it makes none."""
    return network_classes(script.globals).get(last_name(call.func))


def inside_a_network(script: Script, node: ast.AST) -> bool:
    """Say whether a node stands in the class of a network: what is made there is a part."""
    held = script.class_of(node)
    return held is not None and held.name in network_classes(script.globals)
