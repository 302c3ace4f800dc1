"""A newcomer's layer in a package of its own, from layers/README.md alone; tests/test_newcomer.py installs it."""

import minigrad as mg


@mg.register_layer
class RandomPull(mg.Module):
    """In training, put the mean of an example in the place of each feature with probability p; then weigh features."""

    samples = (mg.Sample((4, 0.5), inputs=((3, 4),)), mg.Sample((2, 0.25), inputs=((3, 5, 2),)))

    def __init__(self, features, p):
        self.features, self.p = features, p
        self.weight = mg.Parameter(mg.init.ones((features,)))
        self.generator = mg.random.new_stream()

    def forward(self, x):
        if self.training:
            keep, _ = mg.random.mask(x.shape, self.p, like=x, generator=self.generator)
            x = mg.where(keep, x, mg.mean(x, axis=-1, keepdims=True).named("mean"))
        return x * self.weight

    def extra_repr(self):
        return f"{self.features}, p={self.p}"
