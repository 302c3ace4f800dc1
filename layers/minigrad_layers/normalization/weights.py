"""Normalized weights: by their lengths, by their largest singular value, by their mean and variance, orthogonal."""

from __future__ import annotations

import math
from collections.abc import Mapping

import minigrad as mg
from minigrad.errors import ArgumentError
from minigrad_layers.convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from minigrad_layers.normalization.normalize import positive
from minigrad_layers.normalization.reparametrize import Reparametrized, all_but

__all__ = ["Orthogonal", "SpectralNorm", "WeightNorm", "WeightStandardization"]

linear, conv = mg.Sample.layer("Linear", 3, 2), mg.Sample.layer("Conv2d", 2, 3, 2)


def _length(v: mg.Tensor, axes: tuple[int, ...]) -> mg.Tensor:
    """‖v‖ over `axes`, whose derivative where v is 0 is 0."""
    return mg.safe.sqrt(mg.sum(mg.square(v), axis=axes, keepdims=True))


@mg.register_layer
class WeightNorm(Reparametrized):
    """A layer with the weight g v / ‖v‖: length and direction are learnt apart.

    Args:
        layer: any layer; its parameters go on under their names, and the weight's as `weight_v`.
        name: which parameter.
        dim: the axis with a length `weight_g` each, 0 for the outputs of Linear and convolutions; None for one of all.

    `weight_g` starts as ‖v‖, so the layer computes what it did. Where v is 0, the weight and its derivatives are 0.
    PyTorch's states go in under both of its namings.

    Source: Salimans, Kingma, "Weight normalization: a simple reparameterization to accelerate training of deep neural
    networks", NeurIPS 2016.

    Raises:
        ArgumentError: the layer has no such parameter, the parameter no such axis.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear
        >>> [name for name, _ in WeightNorm(Linear(3, 2)).named_parameters()]
        ['bias', 'weight_g', 'weight_v']
    """

    samples = (
        mg.Sample((linear,), inputs=((4, 3),)),
        mg.Sample((conv,), inputs=((2, 2, 3, 3),)),
        mg.Sample((linear, "weight", None), inputs=((2, 3),)),
    )

    def __init__(self, layer: mg.Module, name: str = "weight", dim: int | None = 0) -> None:
        super().__init__(layer, name, f"{name}_v")
        v, self.dim = vars(self).pop(self._kept), dim
        length = _length(v, all_but(v, dim, "WeightNorm")).detach()
        setattr(self, f"{name}_g", mg.Parameter(length if dim is not None else mg.reshape(length, ())))
        setattr(self, self._kept, v)
        self._holds(layer)

    def other_names(self) -> Mapping[str, str]:
        """PyTorch's of `torch.nn.utils.parametrizations.weight_norm`."""
        stem = f"parametrizations.{self.name}.original"
        return {f"{stem}0": f"{self.name}_g", f"{stem}1": f"{self.name}_v"}

    def effective(self) -> mg.Tensor:
        """g v / ‖v‖."""
        v, g = self.source, getattr(self, f"{self.name}_g")
        length = _length(v, all_but(v, self.dim, "WeightNorm")).named("norm")
        return v * mg.safe.divide(mg.astype(g, v.dtype), length)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return self._said(dim=self.dim)


@mg.composite
def power_iteration(u: mg.Buffer, v: mg.Buffer, matrix: mg.Tensor, steps: int, eps: float) -> None:
    """Move the buffers towards the first singular vectors of a constant matrix: v from u, then u from v."""
    left: mg.Tensor = mg.stop_gradient(u, why="power iteration")
    right: mg.Tensor = v
    for _ in range(steps):
        right = _unit(matrix.T @ left, eps)
        left = _unit(matrix @ right, eps)
    u.assign(left)
    v.assign(right)


def _unit(x: mg.Tensor, eps: float) -> mg.Tensor:
    return x / mg.maximum(mg.safe.norm(x), eps)


@mg.register_layer
class SpectralNorm(Reparametrized):
    """A layer with the weight W / σ, σ = uᵀ W v an estimate of the largest singular value of W.

    Each call in training takes `n_power_iterations` steps v ∝ Wᵀ u, u ∝ W v; evaluation moves nothing. u and v are
    constants of the derivative, W is not: gradients flow through σ. The estimate starts from 15 steps, so that a layer
    may be evaluated first. A weight of one axis is divided by its length; one that is 0 gives 0.

    Args:
        layer: any layer; its parameters go on under their names, and the weight's as `weight_orig`.
        name: which parameter.
        n_power_iterations: steps in each call in training.
        eps: the least length that u and v are divided by; above 0.
        dim: the axis of outputs, against all others as one; None for 1 in transposed convolutions, else 0.

    `weight_u` and `weight_v` are buffers. PyTorch's states go in under both of its namings.

    Source: Miyato, Kataoka, Koyama, Yoshida, "Spectral normalization for generative adversarial networks", ICLR 2018.

    Raises:
        ArgumentError: the layer has no such parameter, the parameter no such axis; eps <= 0.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear
        >>> layer = SpectralNorm(Linear(2, 2, bias=False))
        >>> layer.weight_orig.data = mg.tensor([[3.0, 0.0], [0.0, 1.0]], dtype="float32")
        >>> for _ in range(30):
        ...     y = layer(mg.tensor([[1.0, 1.0]], dtype="float32"))
        >>> mg.round(y, 4).tolist() == mg.tensor([[1.0, 1 / 3]], dtype="float32").round(4).tolist()
        True
    """

    samples = (
        mg.Sample((linear,), inputs=((4, 3),)),
        mg.Sample((conv,), {"n_power_iterations": 2}, inputs=((2, 2, 3, 3),)),
        mg.Sample((mg.Sample.layer("ConvTranspose2d", 2, 3, 2),), inputs=((2, 2, 2, 2),)),
    )

    def __init__(
        self,
        layer: mg.Module,
        name: str = "weight",
        n_power_iterations: int = 1,
        eps: float = 1e-12,
        dim: int | None = None,
    ) -> None:
        super().__init__(layer, name, f"{name}_orig")
        if dim is None:
            dim = 1 if isinstance(layer, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0
        w, self.dim, self.eps = self.source, dim, positive(eps)
        all_but(w, dim, "SpectralNorm")
        self.n_power_iterations = mg.arguments.integer(n_power_iterations, "n_power_iterations", "SpectralNorm", 0)
        matrix = self._matrix(w.detach())
        for kept, size in zip("uv", matrix.shape, strict=True):
            start = mg.init.normal((size,), dtype=w.dtype, device=w.device)
            setattr(self, f"{name}_{kept}", mg.Buffer(_unit(start, eps)))
        self._step(matrix, 15)
        self._holds(layer)

    def _matrix(self, w: mg.Tensor) -> mg.Tensor:
        first = mg.moveaxis(w, self.dim, 0) if self.dim else w
        return mg.reshape(first, (first.shape[0], math.prod(first.shape[1:])))

    def _step(self, matrix: mg.Tensor, steps: int) -> None:
        u, v = (getattr(self, f"{self.name}_{k}") for k in "uv")
        power_iteration(u, v, mg.stop_gradient(mg.astype(matrix, u.dtype), why="power iteration"), steps, self.eps)

    def other_names(self) -> Mapping[str, str]:
        """PyTorch's of `torch.nn.utils.parametrizations.spectral_norm`."""
        at = f"parametrizations.{self.name}."
        return {f"{at}original": self._kept, f"{at}0._u": f"{self.name}_u", f"{at}0._v": f"{self.name}_v"}

    def effective(self) -> mg.Tensor:
        """W / (uᵀ W v)."""
        w = self.source
        matrix = self._matrix(w)
        if self.training:
            self._step(matrix, self.n_power_iterations)
        u, v = (
            mg.astype(mg.stop_gradient(getattr(self, f"{self.name}_{k}"), why="power iteration"), w.dtype) for k in "uv"
        )
        sigma = mg.sum(u * (matrix @ v)).named("sigma")
        return mg.safe.divide(w, sigma)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return self._said(n_power_iterations=self.n_power_iterations, eps=self.eps, dim=self.dim)


@mg.register_layer
class WeightStandardization(Reparametrized):
    """A layer with the weight (W - mean) / sqrt(var + eps), mean and variance of each output's weights.

    Args:
        layer: any layer; its parameters keep their names.
        name: which parameter.
        eps: added to the variance, which is divided by n; above 0.
        dim: the axis of outputs.
        gain: the scaled form: times a learnt `gain` for each output, which starts at 1, and divided by the root of the
            number of weights of an output.

    Source: Qiao, Wang, Liu, Shen, Yuille, "Micro-batch training with batch-channel normalization and weight
    standardization", 2019. Scaled: Brock, De, Smith, "Characterizing signal propagation to close the
    performance gap in unnormalized ResNets", ICLR 2021.

    Raises:
        ArgumentError: the layer has no such parameter, the parameter no such axis; eps <= 0.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear
        >>> layer = WeightStandardization(Linear(3, 2, bias=False))
        >>> bool(mg.all(mg.abs(layer(mg.ones((1, 3), dtype="float32"))) < 1e-5).item())  # each row has mean 0
        True
    """

    samples = (
        mg.Sample((linear,), inputs=((4, 3),)),
        mg.Sample((conv,), {"gain": True}, inputs=((2, 2, 3, 3),)),
    )

    def __init__(
        self, layer: mg.Module, name: str = "weight", eps: float = 1e-5, dim: int = 0, gain: bool = False
    ) -> None:
        super().__init__(layer, name, name)
        self.eps, self.dim, w = positive(eps), dim, self.source
        axes = all_but(w, dim, "WeightStandardization")
        self.gain: mg.Parameter | None = None
        if mg.arguments.flag(gain, "gain", "WeightStandardization"):
            shape = tuple(1 if k in axes else n for k, n in enumerate(w.shape))
            like = getattr(self, name)
            self.gain = mg.Parameter(mg.init.ones(shape, dtype=like.dtype, device=like.device))
        self._holds(layer)

    def effective(self) -> mg.Tensor:
        """(W - mean) / sqrt(var + eps), times gain / sqrt(n) in the scaled form."""
        w = self.source
        axes = all_but(w, self.dim, "WeightStandardization")
        centred = (w - mg.mean(w, axis=axes, keepdims=True).named("mean")).named("centred")
        var = mg.mean(mg.square(centred), axis=axes, keepdims=True).named("var")
        y = centred * mg.rsqrt(var + self.eps)
        if self.gain is None:
            return y
        n = math.prod(w.shape[k] for k in axes)
        return y * (mg.astype(self.gain, w.dtype) / math.sqrt(n))

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return self._said(eps=self.eps, dim=self.dim, gain=self.gain is not None)


@mg.register_layer
class Orthogonal(Reparametrized):
    """A layer whose weight Q, laid as a matrix, has orthonormal rows or columns, whichever are fewer.

    Q = (I - A/2)⁻¹ (I + A/2) Q₀ with A = L - Lᵀ skew, L the lower triangle of the parameter: the Cayley map. The
    parameter starts at 0, and Q as Q₀, the orthonormal matrix of the layer's weight by a QR factorization.

    Args:
        layer: any layer; its parameters go on under their names, and the weight's place is `weight_orig`'s.
        name: which parameter; of two axes or more, the first against all others as one.

    `weight_base` is the buffer Q₀. The Cayley map reaches all rotations without the eigenvalue -1, on top of Q₀.

    Source: Lezcano-Casado, "Trivializations for gradient-based optimization on manifolds", NeurIPS 2019;
    Helfrich, Willmott, Ye, "Orthogonal recurrent neural networks with scaled Cayley transform", ICML 2018.

    Raises:
        ArgumentError: the layer has no such parameter, or it has one axis.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear
        >>> layer = Orthogonal(Linear(3, 2, bias=False))
        >>> q = layer(mg.eye(3, dtype="float32"))
        >>> bool(mg.all(mg.abs(q.T @ q - mg.eye(2, dtype="float32")) < 1e-5).item())
        True
    """

    samples = (
        mg.Sample((linear,), inputs=((4, 3),)),
        mg.Sample((mg.Sample.layer("Linear", 2, 3),), inputs=((4, 2),)),
        mg.Sample((conv,), inputs=((2, 2, 3, 3),)),
    )

    def __init__(self, layer: mg.Module, name: str = "weight") -> None:
        super().__init__(layer, name, f"{name}_orig")
        w = self.source.detach()
        if w.ndim < 2:
            raise ArgumentError(f"name: {name!r} has shape {w.shape}, and only a matrix can be orthogonal")
        setattr(self, f"{name}_base", mg.Buffer(mg.linalg.qr(self._tall(w)).Q))
        parameter = getattr(self, self._kept)
        parameter.data = mg.zeros(parameter.shape, dtype=parameter.dtype, device=parameter.device)
        self._holds(layer)

    @staticmethod
    def _tall(w: mg.Tensor) -> mg.Tensor:
        matrix = mg.reshape(w, (w.shape[0], math.prod(w.shape[1:])))
        return matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T

    def effective(self) -> mg.Tensor:
        """The Cayley map of the lower triangle, times the base, in the weight's shape."""
        w, base = self.source, getattr(self, f"{self.name}_base")
        x = mg.tril(self._tall(w), -1)
        rows, columns = x.shape
        lower = mg.pad(x, ((0, 0), (0, rows - columns)))
        skew = (lower - lower.T).named("A")
        unit = mg.tril(mg.triu(mg.ones_like(skew)))
        q = mg.linalg.solve(unit - 0.5 * skew, (unit + 0.5 * skew) @ mg.astype(base, w.dtype)).named("Q")
        return mg.reshape(q if w.shape[0] == rows else q.T, w.shape)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return self._said()
