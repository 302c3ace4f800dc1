"""Modules: functions with parameters, and the catalogue of the layers that are installed."""

from minigrad.answers import answer_attributes
from minigrad.elsewhere import MODULE
from minigrad.module.base import Module
from minigrad.module.catalogue import CLOSED_FORMS, LayerInfo, closed_form, layer, layers, register_layer
from minigrad.module.samples import Sample
from minigrad.module.standing import stand_in
from minigrad.module.table import summary
from minigrad.module.tensors import Buffer, Parameter

__all__ = [
    "CLOSED_FORMS", "Buffer", "LayerInfo", "Module", "Parameter", "Sample", "closed_form", "layer", "layers",
    "register_layer", "stand_in", "summary",
]  # fmt: skip

answer_attributes(Module, "a Module", MODULE)
