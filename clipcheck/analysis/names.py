"""Dotted names: what a name or an attribute stands for, through imports and simple aliases."""

from __future__ import annotations

import builtins

import libcst as cst

from clipcheck.analysis.flow import Flow
from clipcheck.analysis.scopes import Kind, Scopes
from clipcheck.frameworks import canonical, knows, lists

LOCAL = "__main__."
"""What the names of functions and classes of the file itself begin with."""


class Names:
    def __init__(self, scopes: Scopes, flow: Flow) -> None:
        self.scopes = scopes
        self.flow = flow
        self._known: dict[cst.CSTNode, frozenset[str]] = {}

    def of(self, node: cst.CSTNode) -> frozenset[str]:
        """All dotted names that an expression may have: none if it is no name, several if imports disagree."""
        known = self._known.get(node)
        if known is None:
            self._known[node] = frozenset()  # an alias of itself has no name
            known = self._known[node] = self._resolve(node)
        return known

    def _resolve(self, node: cst.CSTNode) -> frozenset[str]:
        if isinstance(node, cst.Attribute):
            return frozenset(f"{base}.{node.attr.value}" for base in self.of(node.value))
        if isinstance(node, cst.Name):
            return self._of_name(node)
        return frozenset()

    def _of_name(self, node: cst.Name) -> frozenset[str]:
        bindings = self.flow.reaching(node)
        if not bindings:
            return self._unbound(node.value)
        found: set[str] = set()
        for binding in bindings:
            if binding.kind is Kind.IMPORT and binding.imported:
                found.add(binding.imported)
            elif binding.kind in (Kind.FUNCTION, Kind.CLASS):
                found.add(LOCAL + binding.name)
            elif binding.kind is Kind.ASSIGN and binding.value is not None and not binding.path:
                if isinstance(binding.value, cst.Name) and binding.value.value == "None":
                    continue  # `scaler = None` beside an import: the import is what is used
                names = self.of(binding.value)
                if not names:
                    return frozenset()
                found |= names
            else:
                return frozenset()
        return frozenset(found)

    def _unbound(self, name: str) -> frozenset[str]:
        candidates = [f"{module}.{name}" for module in self.scopes.star_imports]
        known = [dotted for dotted in candidates if lists(canonical(dotted))]
        known = known or [dotted for dotted in candidates if knows(canonical(dotted))]
        if len({canonical(dotted) for dotted in known}) == 1:
            return frozenset(known)
        if not known and hasattr(builtins, name):
            return frozenset({f"builtins.{name}"})
        return frozenset()
