"""Keras, with JAX behind it."""

from libraries import Library

LIBRARY = Library(
    "Keras",
    ("keras", "jax"),
    'import os; os.environ["KERAS_BACKEND"] = "jax"; import keras, jax; jax.config.update("jax_enable_x64", True)',
    "t, n = jax.numpy.asarray, np.asarray; D = lambda f, c: jax.grad(lambda x: (f(x) * c).sum()); "
    "use = lambda l, w=(), rest=(), **k: (l.build(x.shape), lambda x: l.stateless_call([*w], [*rest], x, **k)[0])[1]",
    {
        "BatchNorm": "use(keras.layers.BatchNormalization(epsilon=1e-5, dtype=str(x.dtype)), (weight, bias), "
        "(weight, weight), training=True)",
        "LayerNorm": "use(keras.layers.LayerNormalization(epsilon=1e-5, dtype=str(x.dtype)), (weight, bias))",
        "GroupNorm": "use(keras.layers.GroupNormalization(2, 1, epsilon=1e-5, dtype=str(x.dtype)), (weight, bias))",
        "InstanceNorm": "use(keras.layers.GroupNormalization(-1, 1, epsilon=1e-5, dtype=str(x.dtype)), (weight, bias))",
        "RMSNorm": "use(keras.layers.RMSNormalization(epsilon=1e-6, dtype=str(x.dtype)), (weight,))",
        "L2Norm": "use(keras.layers.UnitNormalization(dtype=str(x.dtype)))",
    },
    "JAX behind it, on a CPU; instance norm is its group norm with `groups=-1`",
)
