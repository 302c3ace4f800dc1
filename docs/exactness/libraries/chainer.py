"""Chainer, which is no longer developed."""

from libraries import Library

LIBRARY = Library(
    "Chainer",
    ("chainer",),
    "import chainer; from chainer import functions as F",
    "t, n = chainer.Variable, lambda y: y.array; "
    "D = lambda f, c: lambda x: chainer.grad([f(x)], [x], [t(c)], enable_double_backprop=True)[0]",
    {
        "BatchNorm": "lambda x: F.batch_normalization(x, t(weight), t(bias), eps=1e-5)",
        "LayerNorm": "lambda x: F.layer_normalization(x, t(weight), t(bias), 1e-5)",
        "GroupNorm": "lambda x: F.group_normalization(x, 2, t(weight), t(bias), 1e-5)",
        "LocalResponseNorm": "lambda x: F.local_response_normalization(x, 5, 1, 0.1, 0.75)",
        "DecorrelatedBatchNorm": "lambda x: F.decorrelated_batch_normalization(x, groups=1, eps=1e-3)",
        "L2Norm": "lambda x: F.normalize(x, 1e-12, 1)",
    },
    "its last release; needs NumPy before 1.24",
)
