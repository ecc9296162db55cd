"""Definitions as one recipe needs them: what its configs cannot be is False, and what hangs on that goes.

One transformer serves twice: it notes which names a definition still uses, and later writes it with the names of the file.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import libcst as cst

from mulligan.core.config import FrozenConfig
from mulligan.one_file.facts import INSTEAD, Facts, Seen, meaning_of, value_of
from mulligan.one_file.known import Reader, is_word
from mulligan.one_file.source import External, Module, Symbol, Target, follow, load_module

VALIDATORS = {"field_validator", "model_validator"}
ENDINGS = cst.Return | cst.Raise | cst.Continue | cst.Break


class Specialise(Reader):
    """Visits definitions of one module. `names`: what each symbol is called in the one file; None while looking."""

    def __init__(self, module: Module, facts: Facts, seen: Seen, names: Mapping[Symbol, str] | None = None) -> None:
        super().__init__(module, facts)
        self.seen, self.names = seen, names

    def one(self, node: cst.CSTNode) -> Any:
        """Return a node visited."""
        return node.visit(self)

    # Names

    def _word(self, target: Target, as_written: str) -> str:
        if isinstance(target, External):
            self.seen.externals.add(target)
            return target.bound
        self.seen.named[target] = None
        if as_written != target.name:
            self.seen.asides.add(target)
        return target.name if self.names is None else self.names[target]

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        """Call a definition of ours what it is called in the one file."""
        target = meaning_of(self.module, original_node)
        if target is None:
            self.seen.words.add(original_node.value)
            return updated_node
        return updated_node.with_changes(value=self._word(target, original_node.value))

    def visit_Attribute(self, node: cst.Attribute) -> bool:
        """The attribute's own name is no name."""
        return False

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        """Call `module.definition` by the definition's name alone; note every other attribute."""
        name = original_node.attr.value
        owner = self.module.meanings.get(original_node.value)
        if isinstance(owner, Symbol) and not owner.name:
            target = follow(Symbol(owner.module, name))
            return cst.Name(self._word(INSTEAD.get(target, target) if isinstance(target, Symbol) else target, ""))
        self.seen.attributes.add(name)
        if isinstance(owner, Symbol) or (isinstance(original_node.value, cst.Name) and original_node.value.value == "cls"):
            self.seen.of_classes.add(name)
        return updated_node.with_changes(value=self.one(original_node.value))

    def visit_Annotation(self, node: cst.Annotation) -> bool:
        """Annotations are not evaluated in the one file, so that they reach nothing."""
        return False

    def leave_ImportFrom(self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom) -> Any:
        """Take out what a function imports of ours."""
        ours = original_node.module is not None and cst.Module([]).code_for_node(original_node.module).startswith("mulligan")
        return cst.RemoveFromParent() if ours else updated_node

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        """Nothing in an import is a use."""
        return False

    def visit_Import(self, node: cst.Import) -> bool:
        """Nothing in an import is a use."""
        return False

    def leave_SimpleStatementLine(self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine) -> Any:
        """Take out a line of which nothing is left."""
        return updated_node if updated_node.body else cst.RemoveFromParent()

    def visit_Call(self, node: cst.Call) -> bool:
        """Note which classes are called, and by which strings attributes are asked for."""
        target = meaning_of(self.module, node.func)
        if isinstance(target, Symbol):
            self.seen.called.add(target)
        if (isinstance(node.func, cst.Attribute) and node.func.attr.value == "replace") or is_word(node.func, "replace"):
            for one in node.args:
                if one.keyword is not None:
                    self.seen.replaced.setdefault(one.keyword.value, set()).update(self._made(one.value))
        if isinstance(node.func, cst.Name) and node.func.value in ("getattr", "attrgetter") and len(node.args) > 1:
            self.seen.attributes |= set(re.findall(r"\w+", cst.Module([]).code_for_node(node.args[1].value)))
        return not self.is_test(node)

    def _made(self, node: cst.BaseExpression) -> set[Any]:
        """Return what a field is replaced by: the class of a config that stands at the top of a module, or anything."""
        target = meaning_of(self.module, node) if isinstance(node, cst.Name) else None
        if isinstance(target, Symbol) and target.name:
            module = load_module(target.module)
            value = value_of(module.statements[target.name])
            config = meaning_of(module, value.func) if isinstance(value, cst.Call) else None
            if isinstance(config, Symbol) and config in self.facts.configs:
                return {self.facts.configs[config]}
        return {...}

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """Write `isinstance` with those classes alone that there may be; False without any."""
        if not self.is_test(original_node):
            return updated_node
        known = self.truth(original_node)
        if known is not None:
            return cst.Name(str(known))
        first, second = original_node.args
        if all(
            isinstance(target, Symbol) and target in self.facts.configs for target in self.leaves(self.module, second.value)
        ):
            kept = [target for target in self.leaves(self.module, second.value) if self.may_be(target)]
            classes: Any = [cst.Name(self._word(target, "")) for target in kept if target is not None]
            joined = classes[0]
            for one in classes[1:]:
                joined = cst.BinaryOperation(joined, cst.BitOr(), one)
        else:
            joined = self.one(second.value)
        return original_node.with_changes(args=[self.one(first), second.with_changes(value=joined)])

    def visit_BooleanOperation(self, node: cst.BooleanOperation) -> bool:
        """Visited by hand."""
        return False

    def leave_BooleanOperation(
        self, original_node: cst.BooleanOperation, updated_node: cst.BooleanOperation
    ) -> cst.BaseExpression:
        """Write what is open of `and` and `or`, whose value is that of one side."""
        left = self.truth(original_node.left)
        if left is None:
            return original_node.with_changes(left=self.one(original_node.left), right=self.one(original_node.right))
        decided = left == isinstance(original_node.operator, cst.Or)
        side: cst.BaseExpression = self.one(original_node.left if decided else original_node.right)
        return side

    def leave_Comparison(self, original_node: cst.Comparison, updated_node: cst.Comparison) -> cst.BaseExpression:
        """Write down what is known."""
        known = self.truth(original_node)
        return updated_node if known is None else cst.Name(str(known))

    def leave_UnaryOperation(self, original_node: cst.UnaryOperation, updated_node: cst.UnaryOperation) -> cst.BaseExpression:
        """Write down what is known."""
        known = self.truth(original_node)
        return updated_node if known is None else cst.Name(str(known))

    def visit_IfExp(self, node: cst.IfExp) -> bool:
        """Visited by hand."""
        return False

    def leave_IfExp(self, original_node: cst.IfExp, updated_node: cst.IfExp) -> cst.BaseExpression:
        """Write the side that is taken."""
        known = self.truth(original_node.test)
        if known is not None:
            taken: cst.BaseExpression = self.one(original_node.body if known else original_node.orelse)
            return taken
        sides = {name: self.one(getattr(original_node, name)) for name in ("test", "body", "orelse")}
        return original_node.with_changes(**sides)

    def visit_If(self, node: cst.If) -> bool:
        """Visited by hand."""
        return False

    def leave_If(self, original_node: cst.If, updated_node: cst.If) -> Any:
        """Write the branches that may be taken."""
        return cst.FlattenSentinel(self._branches(original_node))

    def _branches(self, node: cst.If) -> list[cst.BaseStatement]:
        known = self.truth(node.test)
        if known is True:
            return self._statements(node.body.body)
        if known is False:
            if isinstance(node.orelse, cst.If):
                return self._branches(node.orelse)
            return [] if node.orelse is None else self._statements(node.orelse.body.body)
        orelse: cst.If | cst.Else | None = None
        if isinstance(node.orelse, cst.Else):
            orelse = self.one(node.orelse)
        elif node.orelse is not None:
            rest = self._branches(node.orelse)
            only = rest[0] if len(rest) == 1 else None
            orelse = only if isinstance(only, cst.If) else cst.Else(cst.IndentedBlock(rest)) if rest else None
        return [node.with_changes(test=self.one(node.test), body=self.one(node.body), orelse=orelse)]

    def visit_IndentedBlock(self, node: cst.IndentedBlock) -> bool:
        """Visited by hand."""
        return False

    def leave_IndentedBlock(self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock) -> cst.IndentedBlock:
        """Write a block up to its end."""
        return original_node.with_changes(body=self._statements(original_node.body))

    def _statements(self, body: Sequence[cst.CSTNode]) -> list[cst.BaseStatement]:
        written: list[cst.BaseStatement] = []
        for statement in body:
            made = self.one(statement)
            if isinstance(made, cst.FlattenSentinel):
                written += list(made)
            elif not isinstance(made, cst.RemovalSentinel):
                written.append(made)
            if written and isinstance(written[-1], cst.SimpleStatementLine) and isinstance(written[-1].body[-1], ENDINGS):
                break  # what follows is never reached
        return written

    # Definitions

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        """Keep a generator one where none of its `yield` is left."""
        written = super().leave_FunctionDef(original_node, updated_node)
        if not yields(original_node) or yields(written):
            return written
        body = cst.IndentedBlock([*written.body.body, cst.parse_statement("yield from ()")])
        return written.with_changes(body=body)

    def visit_Dict(self, node: cst.Dict) -> bool:
        """Visited by hand."""
        return False

    def leave_Dict(self, original_node: cst.Dict, updated_node: cst.Dict) -> cst.Dict:
        """Write a table by kinds with the kinds that there are; any other as it is."""
        wanted = self._wanted(original_node)
        kept = [
            element
            for element in original_node.elements
            if wanted is None or not isinstance(element, cst.DictElement) or _text(element.key) in wanted
        ]
        for element in kept:
            if isinstance(element, cst.DictElement):
                self._note_key(element.key)
        return original_node.with_changes(elements=[self.one(element) for element in kept])

    def visit_Subscript(self, node: cst.Subscript) -> None:
        """Note a key that may be set."""
        for element in node.slice:
            if isinstance(element.slice, cst.Index):
                self._note_key(element.slice.value)

    def _note_key(self, key: cst.BaseExpression) -> None:
        """Of data under this key a config may be made, whose field then holds anything."""
        if (word := _text(key)) is not None:
            self.seen.replaced.setdefault(word, set()).add(...)

    def _wanted(self, table: cst.Dict) -> frozenset[str] | None:
        """Return the keys of a table that are ever asked for; None for any."""
        name = _tables(self.module).get(table)
        if name is None:
            return None
        words = {_text(element.key) for element in table.elements if isinstance(element, cst.DictElement)}
        if name in _tables_by_kind(self.module) and None not in words:
            return frozenset(word for word in words if word is not None) - self.facts.dead_kinds
        return self.facts.entries.get(Symbol(self.module.name, name))

    def shell(self, statement: cst.BaseStatement, methods: set[str] | None = None) -> Any:
        """Return a definition; a class without its methods, or with those of `methods` (None: looks at none)."""
        if not isinstance(statement, cst.ClassDef):
            return self.one(statement)
        config = self.facts.configs.get(Symbol(self.module.name, statement.name.value))
        body: list[Any] = []
        for part in statement.body.body:
            if isinstance(part, cst.FunctionDef):
                body += [self.one(part)] if part.name.value in (methods or ()) and not is_validator(part) else []
            elif config is None or not body:  # of a config its docstring
                body.append(self.one(part))
            elif _is_class_variable(part):
                body.append(_without_annotation(self.one(part)))
        if config is not None:
            body[1:1] = _settings(config, Symbol(self.module.name, statement.name.value) in self.seen.called)
        bases = [self.one(base) for base in statement.bases]
        keywords, decorators = [self.one(one) for one in statement.keywords], [self.one(one) for one in statement.decorators]
        block, name = statement.body.with_changes(body=body), self.one(statement.name)
        changes = {"bases": bases, "keywords": keywords, "decorators": decorators, "body": block, "name": name}
        return statement.with_changes(**changes)


@functools.cache
def _tables(module: Module) -> dict[cst.CSTNode, str]:
    """Return the tables at the top of a module, by name."""
    values = {name: value_of(statement) for name, statement in module.statements.items()}
    return {value: name for name, value in values.items() if isinstance(value, cst.Dict)}


@functools.cache
def _tables_by_kind(module: Module) -> set[str]:
    """Return those that are only ever asked by a config's kind."""
    text, names = module.tree.code, _tables(module).values()
    asked = {name: len(re.findall(rf"\b{name}\[[\w.]+\.kind\]", text)) for name in names}
    return {name for name, times in asked.items() if times and times + 1 == len(re.findall(rf"\b{name}\b", text))}


@functools.cache
def yields(function: cst.FunctionDef) -> bool:
    """Say whether a function is a generator."""
    waiting: list[cst.CSTNode] = [function.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, cst.Yield):
            return True
        waiting += () if isinstance(node, cst.FunctionDef | cst.ClassDef | cst.Lambda) else node.children
    return False


def methods_of(statement: cst.CSTNode) -> Iterator[cst.FunctionDef]:
    """Yield the methods of a class, none of anything else."""
    if isinstance(statement, cst.ClassDef):
        yield from (part for part in statement.body.body if isinstance(part, cst.FunctionDef))


def is_of_class(method: cst.FunctionDef) -> bool:
    """Say whether a method is called on the class itself."""
    return any(isinstance(one.decorator, cst.Name) and one.decorator.value == "classmethod" for one in method.decorators)


def is_validator(method: cst.FunctionDef) -> bool:
    """Say whether a method only judges a config that is being made."""
    decorators = (one.decorator for one in method.decorators)
    calls = (one.func for one in decorators if isinstance(one, cst.Call))
    return any(isinstance(func, cst.Name) and func.value in VALIDATORS for func in calls)


def _text(node: cst.BaseExpression) -> str | None:
    value = node.evaluated_value if isinstance(node, cst.SimpleString) else None
    return value if isinstance(value, str) else None


def _is_class_variable(part: cst.CSTNode) -> bool:
    field = part.body[0] if isinstance(part, cst.SimpleStatementLine) else None
    return isinstance(field, cst.AnnAssign) and "ClassVar" in cst.Module([]).code_for_node(field.annotation.annotation)


def _without_annotation(part: Any) -> cst.SimpleStatementLine:
    field = part.body[0]
    assign: cst.SimpleStatementLine = part.with_changes(body=[cst.Assign([cst.AssignTarget(field.target)], field.value)])
    return assign


def _settings(config: type[FrozenConfig], is_made: bool) -> list[cst.BaseStatement]:
    """Return what a plain config is told of its fields: `off` values, and defaults where the code makes one itself."""
    off, defaults = {}, {}
    for name, info in config.model_fields.items():
        extra = info.json_schema_extra
        if isinstance(extra, dict) and "off" in extra:
            off[name] = extra["off"]
        elif is_made and not info.is_required():
            default = info.get_default(call_default_factory=True)
            defaults[name] = default.canonical() if isinstance(default, FrozenConfig) else default
    told = {"OFF": off, "DEFAULTS": defaults}
    return [cst.parse_statement(f"{name} = {values!r}") for name, values in told.items() if values]
