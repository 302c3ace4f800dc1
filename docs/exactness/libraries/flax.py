"""Flax, its module `linen`."""

from libraries import Library

LIBRARY = Library(
    "Flax",
    ("flax", "jax"),
    'import jax, flax.linen as nn; jax.config.update("jax_enable_x64", True)',
    "t, n = jax.numpy.asarray, np.asarray; D = lambda f, c: jax.grad(lambda x: (f(x) * c).sum()); "
    'use = lambda l, **w: lambda x: l.apply({"params": w, "batch_stats": {}}, x, mutable=["batch_stats"])[0]',
    {
        "BatchNorm": "use(nn.BatchNorm(use_running_average=False, epsilon=1e-5), scale=weight, bias=bias)",
        "LayerNorm": "use(nn.LayerNorm(1e-5), scale=weight, bias=bias)",
        "GroupNorm": "lambda x: use(nn.GroupNorm(2, epsilon=1e-5), scale=weight, bias=bias)(x.mT).mT",
        "InstanceNorm": "lambda x: use(nn.InstanceNorm(1e-5), scale=weight, bias=bias)(x.mT).mT",
        "RMSNorm": "use(nn.RMSNorm(1e-6), scale=weight)",
    },
    "on a CPU, as its layers are by default (`use_fast_variance=True`)",
)
