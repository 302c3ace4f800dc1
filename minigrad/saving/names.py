"""An optimiser's state under the names that its parameters have in a model, so that no order of definition matters.

An optimiser that was made over `model.parameters()` knows its parameters by position. Beside the model in one file they
have names: what was renamed is refused by name, and what was put in another order finds its own moments.
"""

from __future__ import annotations

from typing import Any

from minigrad.errors import CheckpointError

__all__ = ["by_model", "by_optimizer"]

State = dict[str, Any]


def by_model(state: State, model: Any, optimizer: Any) -> State:
    """`optimizer.state_dict()` with the model's names in place of the optimiser's."""
    names = _names(model, optimizer)
    groups = [{**group, "params": [names[name] for name in group["params"]]} for group in state["param_groups"]]
    return {**state, "state": {names[name]: slots for name, slots in state["state"].items()}, "param_groups": groups}


def by_optimizer(state: State, model: Any, optimizer: Any) -> State:
    """The state that `by_model` gave, with the names and the order of this optimiser, whose model may define its
    parameters in another order.

    Raises:
        CheckpointError: parameters that are missing here or there, by name.
    """
    names = _names(model, optimizer)
    own = {there: here for here, there in names.items()}
    mine = [[names[name] for name in group["params"]] for group in optimizer.state_dict()["param_groups"]]
    saved = [list(group["params"]) for group in state["param_groups"]]
    if [sorted(group) for group in saved] != [sorted(group) for group in mine]:
        one, other = ({name for group in groups for name in group} for groups in (saved, mine))
        faults = [
            *(f"missing: {name} has no state in the file" for name in sorted(other - one)),
            *(f"unexpected: the file has the state of {name}" for name in sorted(one - other)),
        ] or [f"groups: the file has {saved}, this optimiser {mine}"]
        raise CheckpointError(
            "the optimiser's state belongs to other parameters; nothing was loaded:\n  " + "\n  ".join(faults[:20])
        )
    groups = [
        {**group, "params": [own[name] for name in here]}
        for group, here in zip(state["param_groups"], mine, strict=True)
    ]
    return {**state, "state": {own[name]: slots for name, slots in state["state"].items()}, "param_groups": groups}


def _names(model: Any, optimizer: Any) -> dict[str, str]:
    """What each parameter of the optimiser is called in the model; "(0)", "(1)", … where it is not the model's."""
    of_model = {id(p): name for name, p in model.named_parameters()}
    return {name: of_model.get(id(p), f"({name})") for name, p in optimizer.named_parameters()}
