"""Which bindings of a name can be the one that a use of it sees."""

from __future__ import annotations

import libcst as cst

from clipcheck.analysis.scopes import Binding, Kind, Scopes
from clipcheck.analysis.tree import Tree

_BLOCKS = (cst.IndentedBlock, cst.SimpleStatementSuite, cst.Module)
_LOOPS = (cst.For, cst.While)


class Flow:
    """The bindings that reach a use: an approximation that errs towards too many of them."""

    def __init__(self, tree: Tree, scopes: Scopes) -> None:
        self.tree = tree
        self.scopes = scopes

    def reaching(self, name: cst.Name) -> list[Binding]:
        """The bindings that the value of `name` can come from at this place; none if the file does not bind it."""
        scope = self.scopes.of(name)
        home = self.scopes.lookup(name.value, scope)
        if home is None:
            return []
        bindings = home.bindings[name.value]
        if len(bindings) == 1:
            return bindings
        if self.scopes.function_of(scope) is not self.scopes.function_of(home):
            return bindings
        return self._in_scope(bindings, name)

    def _in_scope(self, bindings: list[Binding], use: cst.CSTNode) -> list[Binding]:
        """The bindings of the use's own scope that can reach it.

        The last one that every path to the use passes hides all earlier ones; later ones reach it around a loop, unless
        the hiding one stands in that loop too.
        """
        order = self.tree.order
        place = order[self._evaluated_at(use)]
        above = set(self.tree.ancestors(use))
        before = [b for b in bindings if order[self._takes_effect(b)] < place and not self._excluded(b, above)]
        sure = [b for b in before if self._block(b) in above]
        last = sure[-1] if sure else None
        reaching = before if last is None else before[before.index(last) :]
        around = [
            b
            for b in bindings
            if order[self._takes_effect(b)] >= place
            and any(
                loop in above and (last is None or not self._is_within(last, loop))
                for loop in self.tree.ancestors(b.node)
                if isinstance(loop, _LOOPS)
            )
        ]
        return reaching + around

    def _takes_effect(self, binding: Binding) -> cst.CSTNode:
        """The node from which on a binding holds: an assignment holds after its value is worked out."""
        if binding.kind in (Kind.ASSIGN, Kind.AUGMENT):
            return binding.statement
        return binding.node

    def _evaluated_at(self, use: cst.CSTNode) -> cst.CSTNode:
        """The node that stands for the moment of the use: the assignment whose value it is part of."""
        node = use
        for above in self.tree.ancestors(use):
            if isinstance(above, (cst.Assign, cst.AnnAssign, cst.AugAssign)):
                return above
            if isinstance(above, _BLOCKS):
                break
        return node

    def _block(self, binding: Binding) -> cst.CSTNode:
        """The block all of whose later statements see the binding."""
        if binding.kind is Kind.PARAMETER:
            return binding.scope.node
        if binding.kind is Kind.LOOP:
            return binding.statement.body if isinstance(binding.statement, cst.For) else binding.scope.node
        for above in self.tree.ancestors(binding.statement):
            if isinstance(above, _BLOCKS):
                return above
        return self.tree.module

    def _excluded(self, binding: Binding, above: set[cst.CSTNode]) -> bool:
        """Whether binding and use stand in different branches of one `if`, in the same pass of any loop around it."""
        child: cst.CSTNode = binding.node
        for node in self.tree.ancestors(binding.node):
            if isinstance(node, cst.If) and node in above and node.orelse is not None:
                in_body = child is node.body
                use_in_body = node.body in above
                if in_body != use_in_body and (child is node.orelse or node.orelse in above):
                    return True
            child = node
        return False

    def _is_within(self, binding: Binding, loop: cst.CSTNode) -> bool:
        return binding.statement is loop or loop in self.tree.ancestors(binding.node)
