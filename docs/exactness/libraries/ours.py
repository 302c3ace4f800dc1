"""minigrad."""

from libraries import Library

LIBRARY = Library(
    "minigrad",
    ("minigrad-engine",),
    "import contextlib, minigrad as mg, minigrad_layers as layers",
    "t, n = lambda a: mg.tensor(a, requires_grad=True), mg.Tensor.numpy; "
    "D = lambda f, c: lambda x: mg.gradients(f(x), [x], cotangent=t(c), create_graph=True)[0]; "
    "use = lambda layer, **p: (layer.load_state_dict(layer.state_dict() | {k: t(a) for k, a in p.items()}), layer)[1]; "
    "weight_of = lambda l, **p: "
    "(s := contextlib.ExitStack(), s.enter_context(mg.stand_in(l, p)), l.effective(), s.close())[2]",
    {
        "BatchNorm": "use(layers.BatchNorm1d(3, 1e-5, dtype=x.dtype), weight=weight, bias=bias)",
        "LayerNorm": "use(layers.LayerNorm(16, 1e-5, dtype=x.dtype), weight=weight, bias=bias)",
        "GroupNorm": "use(layers.GroupNorm(2, 4, 1e-5, dtype=x.dtype), weight=weight, bias=bias)",
        "InstanceNorm": "use(layers.InstanceNorm1d(2, 1e-5, affine=True, dtype=x.dtype), weight=weight, bias=bias)",
        "RMSNorm": "use(layers.RMSNorm(16, 1e-6, dtype=x.dtype), weight=weight)",
        "LocalResponseNorm": "layers.LocalResponseNorm(5, 0.5, 0.75, 1.0)",
        "GlobalResponseNorm": "use(layers.GlobalResponseNorm(3, 1e-6, channels_last=False, dtype=x.dtype), "
        "weight=weight, bias=bias)",
        "FilterResponseNorm": "use(layers.FilterResponseNorm(3, 1e-6, dtype=x.dtype), "
        "weight=weight, bias=bias, tau=tau)",
        "EvoNormB0": "use(layers.EvoNormB0(3, eps=1e-3, dtype=x.dtype), weight=weight, bias=bias, v=v)",
        "EvoNormS0": "use(layers.EvoNormS0(4, 2, eps=1e-5, dtype=x.dtype), weight=weight, bias=bias, v=v)",
        "DecorrelatedBatchNorm": "layers.DecorrelatedBatchNorm(3, eps=1e-3, num_groups=1, dtype=x.dtype)",
        "L2Norm": "layers.L2Norm(-1, 1e-12)",
        "CosineNorm": "use(layers.CosineNorm(8, 8, dtype=x.dtype), weight=w)",
        "WeightNorm": "(l := use(layers.WeightNorm(layers.Linear(9, 4, False, dtype=x.dtype)), weight_g=weight)) "
        "and (lambda x: weight_of(l, weight_v=x))",
        "WeightStandardization": "(l := layers.WeightStandardization(layers.Conv2d(3, 4, 2, dtype=x.dtype), eps=1e-5)) "
        "and (lambda x: weight_of(l, weight=x))",
    },
)
