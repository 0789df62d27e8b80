"""What a supervisor says of its children, held against what is so."""

from collections.abc import Callable, Sequence
from typing import Any

from model.reference_child import ReferenceChild, told
from model.reference_supervisor import ReferenceSupervisor

from lightspeed.actors.text import shown
from lightspeed.supervision.children import Branch, ChildCounts, ChildView
from lightspeed.supervision.messages import CountChildren, WhichChild
from lightspeed.supervision.tree import Tree


class ReferenceViews:
    """Of one supervisor.

    Args:
        breaks: told the rule that is broken, and how.
    """

    def __init__(self, model: ReferenceSupervisor, breaks: Callable[[str, str], None]) -> None:
        self._model, self._break = model, breaks
        self._said: list[ChildView] = []
        """Its children, when it was asked last for a tree."""

    def check(self, message: Any, answer: Any, phase: str) -> None:
        """It has answered a request for a view. `answer`: None where there is no such child. `phase`: its own, as it must be."""
        if isinstance(message, WhichChild):
            self._check_child(message.id, answer)
        elif isinstance(message, CountChildren):
            self._check_counts(answer)
        elif isinstance(answer, Branch):
            self._said = answer.children
            if answer.phase.value != phase:
                self._break("views", f"tree says that it is {answer.phase.value}, where it is {phase}")
            self.check_children(answer.children, "views")
        elif isinstance(answer, list):
            self.check_children(answer, "views")
        else:
            self._break("views", f"{type(message).__name__} was answered {shown(answer)}")

    def check_children(self, views: list[ChildView], rule: str) -> None:
        """All of them. `rule`: what is broken where one is not as it must be; their order is a matter of `views`."""
        due = self._due
        if {view.id: view for view in views} != {view.id: view for view in due}:
            self._break(rule, f"its children are {_texts(views)}, where {_texts(due)} are due")
        elif views != due:
            self._break(
                "views", f"its children are {[view.id for view in views]}, and not in this order: {list(self._model.children)}"
            )

    def check_tree(self, tree: Tree) -> None:
        """What was made of what it said last for it. A supervisor below may have ended meanwhile, and answers else."""
        if len(tree.children) != len(self._said) or not all(map(_is_shown, self._said, tree.children)):
            parts = [f"{shown(child.id)} [{child.phase}]" for child in tree.children]
            self._break("views", f"tree shows {', '.join(parts)}, where it was said: {_texts(self._said)}")

    def _check_child(self, child_id: Any, view: ChildView | None) -> None:
        child = self._model.children.get(child_id)
        due = None if child is None else _view(child)
        if view != due:
            self._break("views", f"which_child says {_texts([view])}, where {_texts([due])} is due")

    def _check_counts(self, counts: ChildCounts) -> None:
        views = self._due
        supervisors, active = sum(view.is_supervisor for view in views), sum(view.ref is not None for view in views)
        due = ChildCounts(len(views), active, supervisors, len(views) - supervisors, self._model.abandoned)
        if counts != due:
            self._break("views", f"count_children says {counts}, where {due} are due")

    @property
    def _due(self) -> list[ChildView]:
        return [_view(child) for child in self._model.children.values()]


def _is_shown(view: ChildView, child: Tree) -> bool:
    has_ended = child.phase == "ended" and view.is_supervisor and view.ref is not None
    return (child.id, child.restarts) == (view.id, view.restarts) and (child.phase == view.phase or has_ended)


def _texts(views: Sequence[ChildView | None]) -> str:
    return ", ".join("none" if view is None else _text(view) for view in views) or "none"


def _text(view: ChildView) -> str:
    restarts = f", {view.restarts} restarts" if view.restarts else ""
    return f"{view.kind} {shown(view.id)} [{view.phase}: {told(view.ref)}{restarts}]"


def _view(child: ReferenceChild) -> ChildView:
    spec = child.spec
    return ChildView(spec.id, child.ref, child.stage.value, spec.kind, child.is_supervisor, child.restarts)
