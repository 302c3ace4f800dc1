"""tinygrad."""

from libraries import Library

LIBRARY = Library(
    "tinygrad",
    ("tinygrad",),
    "from tinygrad import Tensor, nn",
    "t, n = Tensor, Tensor.numpy; D = lambda f, c: lambda x: (f(x) * t(c)).sum().gradient(x)[0]; "
    "use = lambda l, **w: ([setattr(l, k, t(a)) for k, a in w.items()], l)[1]",
    {
        "BatchNorm": "use(nn.BatchNorm(3, 1e-5, track_running_stats=False), weight=weight, bias=bias)",
        "LayerNorm": "use(nn.LayerNorm(16, 1e-5), weight=weight, bias=bias)",
        "GroupNorm": "use(nn.GroupNorm(2, 4, 1e-5), weight=weight, bias=bias)",
        "InstanceNorm": "use(nn.InstanceNorm(2, 1e-5), weight=weight, bias=bias)",
        "RMSNorm": "use(nn.RMSNorm(16, 1e-6), weight=weight)",
    },
)
