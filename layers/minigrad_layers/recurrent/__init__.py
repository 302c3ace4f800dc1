"""Recurrent layers: cells, which take one step, and layers, which go through a sequence."""

from minigrad_layers.recurrent.cells import GRUCell, LSTMCell, RNNCell
from minigrad_layers.recurrent.sequences import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]
