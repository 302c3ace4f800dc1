"""timm, in PyTorch's language: what it has that PyTorch has not, or computes by code of its own."""

from libraries import Library, pytorch

LIBRARY = Library(
    "timm",
    ("timm", "torch"),
    "import torch; from timm.layers import evo_norm, filter_response_norm, grn, norm, norm_act, std_conv",
    f"{pytorch.LANGUAGE}; "
    "use = lambda m, **w: lambda x: torch.func.functional_call(m, {k: t(a) for k, a in w.items()}, x)",
    {
        "BatchNorm": "lambda x: use(norm_act.BatchNormAct2d(3, 1e-5, apply_act=False).to(x.dtype),"
        " weight=weight, bias=bias)(x[..., None, None])[..., 0, 0]",
        "LayerNorm": "use(norm.LayerNorm(16, 1e-5), weight=weight, bias=bias)",
        "GroupNorm": "use(norm.GroupNorm(4, 2, 1e-5), weight=weight, bias=bias)",
        "RMSNorm": "use(norm.RmsNorm(16, 1e-6), weight=weight)",
        "GlobalResponseNorm": "use(grn.GlobalResponseNorm(3, 1e-6, channels_last=False), weight=weight, bias=bias)",
        "FilterResponseNorm": "use(filter_response_norm.FilterResponseNormTlu2d(3, eps=1e-6),"
        " weight=weight, bias=bias, tau=tau)",
        "EvoNormB0": "use(evo_norm.EvoNorm2dB0(3, eps=1e-3), weight=weight, bias=bias, v=v)",
        "EvoNormS0": "use(evo_norm.EvoNorm2dS0(4, 2, eps=1e-5), weight=weight, bias=bias, v=v)",
        "WeightStandardization": "lambda x: torch.func.functional_call("
        "std_conv.StdConv2d(3, 4, 2, eps=1e-5), {'weight': x}, "
        "torch.eye(12, dtype=x.dtype).reshape(12, 3, 2, 2)).reshape(12, 4).mT.reshape(4, 3, 2, 2)",
    },
    "on PyTorch",
)
