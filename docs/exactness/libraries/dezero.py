"""DeZero, whose name for its batch norm has a slip of the pen."""

from libraries import Library

LIBRARY = Library(
    "DeZero",
    ("dezero",),
    "import numpy; numpy.int = int; import dezero; from dezero import functions as F",
    "t, n = dezero.Variable, lambda y: y.data; D = lambda f, c: lambda x: (lambda y: (x.cleargrad(), "
    "F.sum(y * c).backward(create_graph=True), x.grad)[2])(f(x))",
    {"BatchNorm": "lambda x: F.batch_nrom(x, t(weight), t(bias), weight * 0, weight * 0, eps=1e-5)"},
)
