"""PyTorch, and timm beside it."""

from libraries import Library

LANGUAGE = (
    "t, n = lambda a: torch.tensor(a, requires_grad=True), lambda y: y.detach().numpy(); "
    "D = lambda f, c: lambda x: torch.autograd.grad((f(x) * t(c)).sum(), x, create_graph=True)[0]"
)
LIBRARY = Library(
    "PyTorch",
    ("torch",),
    "import torch; from torch.nn import functional as F",
    LANGUAGE,
    {
        "BatchNorm": "lambda x: F.batch_norm(x, None, None, t(weight), t(bias), True, eps=1e-5)",
        "LayerNorm": "lambda x: F.layer_norm(x, (16,), t(weight), t(bias), 1e-5)",
        "GroupNorm": "lambda x: F.group_norm(x, 2, t(weight), t(bias), 1e-5)",
        "InstanceNorm": "lambda x: F.instance_norm(x, weight=t(weight), bias=t(bias), eps=1e-5)",
        "RMSNorm": "lambda x: F.rms_norm(x, (16,), t(weight), 1e-6)",
        "LocalResponseNorm": "lambda x: F.local_response_norm(x, 5, 0.5, 0.75, 1.0)",
        "L2Norm": "lambda x: F.normalize(x, dim=1, eps=1e-12)",
        "CosineNorm": "lambda x: F.cosine_similarity(x[:, None], t(w), dim=-1, eps=1e-12)",
        "WeightNorm": "lambda x: torch._weight_norm(x, t(weight), 0)",
    },
    "on a CPU; `torch._weight_norm` is what `parametrizations.weight_norm` calls",
)
