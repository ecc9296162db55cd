"""Which expressions have one value for a given recipe: tests of its configs' classes, kinds and plain fields."""

import functools
from collections.abc import Iterator
from typing import Any

import libcst as cst

from mulligan.one_file.facts import Facts, meaning_of, value_of
from mulligan.one_file.source import Module, Symbol, Target, load_module


class Reader(cst.CSTTransformer):
    """Says what expressions of one module are for a recipe, where that follows from its configs."""

    def __init__(self, module: Module, facts: Facts) -> None:
        super().__init__()
        self.module, self.facts = module, facts
        self._functions: list[dict[str, cst.CSTNode | None]] = []
        """Of the functions around a node: what each name is annotated as, or is once set to; None where neither tells."""

    def truth(self, node: cst.BaseExpression) -> bool | None:
        """Return what an expression is for this recipe, None where that is open."""
        if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
            inner = self.truth(node.expression)
            return None if inner is None else not inner
        if isinstance(node, cst.BooleanOperation):
            sides = (self.truth(node.left), self.truth(node.right))
            decisive = isinstance(node.operator, cst.Or)
            return decisive if decisive in sides else None if None in sides else not decisive
        if isinstance(node, cst.Call) and self.is_test(node):
            return self._is_instance(node)
        if isinstance(node, cst.Comparison) and len(node.comparisons) == 1:
            return self._equals(node.left, node.comparisons[0])
        told = self._told(node)
        if told is not None and not isinstance(told, cst.Annotation):
            return self.truth(told)
        values = self._values(node)
        truths = {bool(value) for value in values} if values and all(map(_is_plain, values)) else set()
        return truths.pop() if len(truths) == 1 else None

    def _is_instance(self, node: cst.Call) -> bool | None:
        leaves = list(self.leaves(self.module, node.args[1].value))
        if not leaves or not any(self.may_be(target) for target in leaves):
            return False if leaves else None
        wanted = tuple(self.facts.configs[leaf] for leaf in leaves if isinstance(leaf, Symbol) and leaf in self.facts.configs)
        found = self._values(node.args[0].value)
        if len(wanted) < len(leaves) or not found or not all(isinstance(one, type) for one in found):
            return None
        answers = {issubclass(one, wanted) for one in found}
        return answers.pop() if len(answers) == 1 else None

    def _equals(self, left: cst.BaseExpression, right: cst.ComparisonTarget) -> bool | None:
        """Return whether a field is, or equals, a constant; whether anything equals a word that there is not."""
        if meaning_of(self.module, right.comparator) in self.facts.absent and isinstance(right.operator, cst.Equal):
            return False
        found = self._values(left)
        constant = _constant(right.comparator)
        if not found or constant is ... or not isinstance(right.operator, cst.Equal | cst.NotEqual | cst.Is | cst.IsNot):
            return None
        if isinstance(right.operator, cst.Is | cst.IsNot) and constant is not None:
            return None
        same = {one == constant for one in found}
        negated = isinstance(right.operator, cst.NotEqual | cst.IsNot)
        return (same.pop() != negated) if len(same) == 1 else None

    def _values(self, node: cst.BaseExpression) -> frozenset[Any] | None:
        """Return all that an expression can be, classes of configs or plain values; None where that is open."""
        if isinstance(node, cst.Attribute):
            return self.facts.fields.get(node.attr.value)
        told = self._told(node)
        if not isinstance(told, cst.Annotation):
            return self._values(told) if isinstance(told, cst.Attribute) else None
        leaves = list(self.leaves(self.module, told.annotation))
        configs = [self.facts.configs[leaf] for leaf in leaves if isinstance(leaf, Symbol) and leaf in self.facts.configs]
        if len(configs) < len(leaves):
            return None
        return frozenset(one for one in self.facts.live if issubclass(one, tuple(configs))) or None

    def _told(self, node: cst.CSTNode) -> Any:
        """Return what a name of the function is annotated as, or the expression that it is once set to."""
        if not isinstance(node, cst.Name):
            return None
        return next((names[node.value] for names in reversed(self._functions) if node.value in names), None)

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        """Note what is known of the function's names."""
        self._functions.append(_names_in(node))

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        """Forget the function's names."""
        self._functions.pop()
        return updated_node

    def visit_Lambda(self, node: cst.Lambda) -> None:
        """Nothing is known of what a lambda takes."""
        self._functions.append(dict.fromkeys(one.name.value for one in _parameters(node.params)))

    def leave_Lambda(self, original_node: cst.Lambda, updated_node: cst.Lambda) -> cst.Lambda:
        """Forget the lambda's names."""
        self._functions.pop()
        return updated_node

    def leaves(self, module: Module, node: cst.BaseExpression) -> Iterator[Target | None]:
        """Yield the classes that a class expression names, past unions that have a name."""
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.BitOr):
            yield from self.leaves(module, node.left)
            yield from self.leaves(module, node.right)
            return
        if isinstance(node, cst.Tuple):
            for element in node.elements:
                yield from self.leaves(module, element.value)
            return
        if isinstance(node, cst.SimpleString):  # an annotation in quotes
            node = cst.parse_expression(str(node.evaluated_value))
        target = meaning_of(module, node) if isinstance(node, cst.Name) else None
        if isinstance(target, Symbol) and target.name and target not in self.facts.configs:
            value = value_of(load_module(target.module).statements[target.name])
            if isinstance(value, cst.BinaryOperation):
                yield from self.leaves(load_module(target.module), value)
                return
        yield target

    def may_be(self, target: Target | None) -> bool:
        """Say whether something may be of a class: False for a config that the recipe has none of."""
        config = self.facts.configs.get(target) if isinstance(target, Symbol) else None
        return config is None or self.facts.may_exist(config)

    def is_test(self, node: cst.Call) -> bool:
        """Say whether a call asks for a class."""
        return isinstance(node.func, cst.Name) and node.func.value == "isinstance"


@functools.cache
def _names_in(function: cst.FunctionDef) -> dict[str, cst.CSTNode | None]:
    """Return each name of a function with its annotation, or with the expression that it is once set to; else None."""
    told: dict[str, cst.CSTNode | None] = {}
    waiting: list[cst.CSTNode] = [function.body]
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if isinstance(node, cst.Assign):
            alone = len(node.targets) == 1 and isinstance(node.targets[0].target, cst.Name)
            words = [word for target in node.targets for word in _words(target.target)]
            told |= {word: node.value if alone and word not in told else None for word in words}
        elif isinstance(node, cst.AnnAssign | cst.AugAssign | cst.NamedExpr | cst.For | cst.CompFor):
            told |= dict.fromkeys(_words(node.target))
        elif isinstance(node, cst.AsName | cst.MatchAs | cst.MatchStar) and node.name is not None:
            told |= dict.fromkeys(_words(node.name))
    for one in _parameters(function.params):
        told[one.name.value] = one.annotation if one.star == "" and one.name.value not in told else None
    return told


def _parameters(given: cst.Parameters) -> list[cst.Param]:
    """Return all parameters of a function; those that take what is left over have stars."""
    stars = [one for one in (given.star_arg, given.star_kwarg) if isinstance(one, cst.Param)]
    return [*given.posonly_params, *given.params, *given.kwonly_params, *stars]


def _words(node: cst.CSTNode) -> list[str]:
    """Return the names within a target."""
    return [node.value] if isinstance(node, cst.Name) else [word for child in node.children for word in _words(child)]


def is_word(node: cst.CSTNode, word: str) -> bool:
    """Say whether a node is that one name."""
    return isinstance(node, cst.Name) and node.value == word


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _constant(node: cst.BaseExpression) -> Any:
    """Return a constant; the ellipsis for anything else."""
    if isinstance(node, cst.Name) and node.value in ("None", "True", "False"):
        return {"None": None, "True": True, "False": False}[node.value]
    return node.evaluated_value if isinstance(node, cst.SimpleString | cst.Integer) else ...
