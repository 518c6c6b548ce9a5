"""Scopes and what binds names in them: imports, assignments, loops, parameters, definitions."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from functools import cached_property
from typing import TypeAlias

import libcst as cst
from msgspec import Struct, field
from msgspec.structs import replace

from clipcheck.analysis.tree import Tree

ScopeNode: TypeAlias = (
    cst.Module
    | cst.FunctionDef
    | cst.Lambda
    | cst.ClassDef
    | cst.ListComp
    | cst.SetComp
    | cst.DictComp
    | cst.GeneratorExp
)
_COMPREHENSIONS = (cst.ListComp, cst.SetComp, cst.DictComp, cst.GeneratorExp)
_SCOPES = (cst.Module, cst.FunctionDef, cst.Lambda, cst.ClassDef, *_COMPREHENSIONS)


class Kind(enum.Enum):
    IMPORT = enum.auto()
    ASSIGN = enum.auto()
    AUGMENT = enum.auto()
    LOOP = enum.auto()
    WITH = enum.auto()
    PARAMETER = enum.auto()
    FUNCTION = enum.auto()
    CLASS = enum.auto()
    OTHER = enum.auto()
    """`except … as`, `del`, match captures: a binding of unknown value."""


class Binding(Struct, frozen=True, eq=False):
    """One place where a name gets a value.

    node: the name's own node. value: the expression that is bound, iterated, entered, or the parameter's default.
    path: where in a tuple target the name stands: `a, (b, c) = …` gives b (1, 0). imported: the dotted name.
    """

    name: str
    kind: Kind
    node: cst.CSTNode
    statement: cst.CSTNode
    scope: Scope
    value: cst.BaseExpression | None = None
    path: tuple[int, ...] = ()
    imported: str | None = None


class Scope(Struct, eq=False):
    """A module, function, class, lambda or comprehension, and the names bound in it."""

    node: ScopeNode
    parent: Scope | None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    outer_names: set[str] = field(default_factory=set)
    """The names that `global` or `nonlocal` sends outwards."""

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, cst.ClassDef)

    @property
    def is_function(self) -> bool:
        return isinstance(self.node, (cst.FunctionDef, cst.Lambda))


class Scopes:
    """All scopes of a module, and the scope of every node."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.module = Scope(tree.module, None)
        self._by_node: dict[cst.CSTNode, Scope] = {tree.module: self.module}
        self.star_imports: list[str] = []
        for kind in (cst.ClassDef, cst.FunctionDef, cst.Lambda, *_COMPREHENSIONS):
            for node in tree.all(kind):
                self._scope_at(node)
        self._bind_all()

    def of(self, node: cst.CSTNode) -> Scope:
        """The scope in which a name at this node is looked up first."""
        child = node
        for above in self.tree.ancestors(node):
            if isinstance(above, _SCOPES) and _is_inside(above, child):
                return self._scope_at(above)
            child = above
        return self.module

    def own(self, node: ScopeNode) -> Scope:
        """The scope that a function, class or comprehension opens."""
        return self._scope_at(node)

    def lookup(self, name: str, scope: Scope) -> Scope | None:
        """The scope that binds a name used in `scope`, by Python's rules: classes are skipped from within functions."""
        current: Scope | None = scope
        while current is not None:
            visible = current is scope or not current.is_class
            if visible and name in current.bindings and name not in current.outer_names:
                return current
            current = current.parent
        return None

    def function_of(self, scope: Scope) -> Scope:
        """The function (or module, or class) scope around comprehensions."""
        while isinstance(scope.node, _COMPREHENSIONS) and scope.parent is not None:
            scope = scope.parent
        return scope

    @cached_property
    def imported_modules(self) -> frozenset[str]:
        """The dotted names of all that the file imports, wherever it does."""
        every = (b for scope in self._by_node.values() for bound in scope.bindings.values() for b in bound)
        return frozenset(b.imported for b in every if b.imported) | frozenset(self.star_imports)

    def forget(self) -> None:
        """Drop the bindings, which refer to their scopes."""
        for scope in self._by_node.values():
            scope.bindings.clear()

    def _scope_at(self, node: cst.CSTNode) -> Scope:
        scope = self._by_node.get(node)
        if scope is None:
            assert isinstance(node, _SCOPES)
            scope = self._by_node[node] = Scope(node, self.of(node))
        return scope

    def _bind(self, scope: Scope, binding: Binding) -> None:
        if binding.name in scope.outer_names:
            scope = self.lookup(binding.name, scope.parent or scope) or self.module
            binding = replace(binding, scope=scope)
        scope.bindings.setdefault(binding.name, []).append(binding)

    def _bind_all(self) -> None:
        tree = self.tree
        outwards: list[cst.Global | cst.Nonlocal] = [*tree.all(cst.Global), *tree.all(cst.Nonlocal)]
        for outward in outwards:
            self.of(outward).outer_names.update(item.name.value for item in outward.names)
        for node in tree.all(cst.Import):
            self._bind_import(node)
        for from_import in tree.all(cst.ImportFrom):
            self._bind_import_from(from_import)
        for assign in tree.all(cst.Assign):
            for target in assign.targets:
                self._bind_target(target.target, Kind.ASSIGN, assign, assign.value)
        for annotated in tree.all(cst.AnnAssign):
            if annotated.value is not None:
                self._bind_target(annotated.target, Kind.ASSIGN, annotated, annotated.value)
        for augmented in tree.all(cst.AugAssign):
            self._bind_target(augmented.target, Kind.AUGMENT, augmented, augmented.value)
        for walrus in tree.all(cst.NamedExpr):
            self._bind_target(walrus.target, Kind.ASSIGN, walrus, walrus.value)
        for loop in tree.all(cst.For):
            self._bind_target(loop.target, Kind.LOOP, loop, loop.iter)
        for comp in tree.all(cst.CompFor):
            self._bind_target(comp.target, Kind.LOOP, comp, comp.iter, scope=self._comprehension(comp))
        for item in tree.all(cst.WithItem):
            if item.asname is not None:
                self._bind_target(item.asname.name, Kind.WITH, item, item.item)
        for handler in tree.all(cst.ExceptHandler):
            if handler.name is not None:
                self._bind_target(handler.name.name, Kind.OTHER, handler, None)
        for deleted in tree.all(cst.Del):
            self._bind_target(deleted.target, Kind.OTHER, deleted, None)
        for function in tree.all(cst.FunctionDef):
            self._bind_definition(function, Kind.FUNCTION)
            self._bind_parameters(function)
        for anonymous in tree.all(cst.Lambda):
            self._bind_parameters(anonymous)
        for class_ in tree.all(cst.ClassDef):
            self._bind_definition(class_, Kind.CLASS)
        for scope in self._by_node.values():
            for bindings in scope.bindings.values():
                bindings.sort(key=lambda binding: tree.order[binding.node])

    def _comprehension(self, comp: cst.CompFor) -> Scope:
        for above in self.tree.ancestors(comp):
            if isinstance(above, _COMPREHENSIONS):
                return self._scope_at(above)
        raise AssertionError("a CompFor stands in a comprehension")

    def _bind_import(self, node: cst.Import) -> None:
        scope = self.of(node)
        for alias in node.names:
            dotted = dotted_name(alias.name) or ""
            if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
                name, imported = alias.asname.name.value, dotted
            else:
                name = imported = dotted.split(".")[0]
            self._bind(scope, Binding(name, Kind.IMPORT, alias, node, scope, imported=imported))

    def _bind_import_from(self, node: cst.ImportFrom) -> None:
        scope = self.of(node)
        module = "." * len(node.relative) + (dotted_name(node.module) or "" if node.module else "")
        if isinstance(node.names, cst.ImportStar):
            self.star_imports.append(module)
            return
        for alias in node.names:
            imported = dotted_name(alias.name) or ""
            name = alias.asname.name.value if alias.asname and isinstance(alias.asname.name, cst.Name) else imported
            dotted = f"{module}.{imported}" if not module.endswith(".") else module + imported
            self._bind(scope, Binding(name, Kind.IMPORT, alias, node, scope, imported=dotted))

    def _bind_target(
        self,
        target: cst.BaseExpression,
        kind: Kind,
        statement: cst.CSTNode,
        value: cst.BaseExpression | None,
        path: tuple[int, ...] = (),
        scope: Scope | None = None,
    ) -> None:
        if isinstance(target, cst.Name):
            scope = scope or self.function_of(self.of(target))
            self._bind(scope, Binding(target.value, kind, target, statement, scope, value, path))
        elif isinstance(target, (cst.Tuple, cst.List)):
            starred = False
            for index, element in enumerate(target.elements):
                starred = starred or isinstance(element, cst.StarredElement)
                inner = Kind.OTHER if starred else kind
                self._bind_target(element.value, inner, statement, value, (*path, index), scope)

    def _bind_definition(self, node: cst.FunctionDef | cst.ClassDef, kind: Kind) -> None:
        scope = self.of(node)
        self._bind(scope, Binding(node.name.value, kind, node, node, scope))

    def _bind_parameters(self, function: cst.FunctionDef | cst.Lambda) -> None:
        scope = self.own(function)
        for param in parameters(function):
            kind = Kind.OTHER if param.star in ("*", "**") else Kind.PARAMETER
            self._bind(scope, Binding(param.name.value, kind, param, function, scope, param.default))

    @cached_property
    def attributes(self) -> dict[cst.ClassDef, dict[str, list[Binding]]]:
        """For each class: what its methods assign to attributes of `self`, and what its body assigns."""
        found: dict[cst.ClassDef, dict[str, list[Binding]]] = {}
        for class_ in self.tree.all(cst.ClassDef):
            found[class_] = {name: list(bound) for name, bound in self.own(class_).bindings.items()}
        for target, kind, statement, value, path in self._assignments():
            if isinstance(target, cst.Attribute) and isinstance(target.value, cst.Name):
                class_of_self = self.class_of_self(target.value)
                if class_of_self is not None:
                    binding = Binding(target.attr.value, kind, target, statement, self.of(target), value, path)
                    found[class_of_self].setdefault(binding.name, []).append(binding)
        return found

    def class_of_self(self, name: cst.Name) -> cst.ClassDef | None:
        """The class whose instance a name is, if it is the first parameter of a method (usually `self`)."""
        scope = self.lookup(name.value, self.of(name))
        if scope is None or not isinstance(scope.node, cst.FunctionDef):
            return None
        bound = scope.bindings[name.value]
        first = next(iter(parameters(scope.node)), None)
        if len(bound) != 1 or first is None or bound[0].node is not first:
            return None
        if any(dotted_name(d.decorator) in ("staticmethod", "classmethod") for d in scope.node.decorators):
            return None
        return scope.parent.node if scope.parent and isinstance(scope.parent.node, cst.ClassDef) else None

    def _assignments(
        self,
    ) -> Iterator[tuple[cst.BaseExpression, Kind, cst.CSTNode, cst.BaseExpression, tuple[int, ...]]]:
        for assign in self.tree.all(cst.Assign):
            for target in assign.targets:
                yield from _flat(target.target, Kind.ASSIGN, assign, assign.value, ())
        for annotated in self.tree.all(cst.AnnAssign):
            if annotated.value is not None:
                yield annotated.target, Kind.ASSIGN, annotated, annotated.value, ()
        for augmented in self.tree.all(cst.AugAssign):
            yield augmented.target, Kind.AUGMENT, augmented, augmented.value, ()


def _flat(
    target: cst.BaseExpression, kind: Kind, statement: cst.CSTNode, value: cst.BaseExpression, path: tuple[int, ...]
) -> Iterator[tuple[cst.BaseExpression, Kind, cst.CSTNode, cst.BaseExpression, tuple[int, ...]]]:
    if isinstance(target, (cst.Tuple, cst.List)):
        for index, element in enumerate(target.elements):
            yield from _flat(element.value, kind, statement, value, (*path, index))
    else:
        yield target, kind, statement, value, path


def parameters(function: cst.FunctionDef | cst.Lambda) -> Iterator[cst.Param]:
    """Every parameter, in the order of the signature."""
    params = function.params
    yield from params.posonly_params
    yield from params.params
    if isinstance(params.star_arg, cst.Param):
        yield params.star_arg
    yield from params.kwonly_params
    if params.star_kwarg is not None:
        yield params.star_kwarg


def dotted_name(node: cst.CSTNode | None) -> str | None:
    """`a.b.c` as text if the node is nothing but names and dots."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        base = dotted_name(node.value)
        return None if base is None else f"{base}.{node.attr.value}"
    return None


def _is_inside(scope: cst.CSTNode, child: cst.CSTNode) -> bool:
    """Whether a direct child of a scope's node is evaluated inside that scope.

    Decorators, defaults, bases and the first iterable of a comprehension belong to the scope around it.
    """
    if isinstance(scope, cst.Module):
        return True
    if isinstance(scope, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
        return child is scope.body
    return True
