# %% [markdown]
# # The backward pass of batch norm
#
# Batch norm is short to write and easy to differentiate wrongly: every output of a column depends on every input of it,
# through the mean and through the variance. We write it from primitives, let the chain rule differentiate it, compare
# with the formula of the paper (Ioffe and Szegedy, 2015), see why that formula has three terms, and then ask for the
# derivative of the derivative, where formulas written by hand go wrong without a word.

# %%
import numpy as np

import minigrad as mg

rng = np.random.default_rng(0)
np.set_printoptions(precision=4, suppress=True)
eps = 1e-5
x = mg.tensor(rng.normal(3.0, 2.0, (5, 2)), requires_grad=True, name="x")  # 5 examples, 2 features, float64
gamma = mg.tensor([1.5, -0.7], requires_grad=True, name="gamma")
beta = mg.tensor([0.2, 0.1], requires_grad=True, name="beta")
g = mg.tensor(rng.normal(0.5, 1.0, (5, 2)), name="g")  # ∂L/∂y, as the layer above would send it

# %% [markdown]
# ## 1. Forward, from primitives
#
#     mean = 1/m Σ x        var = 1/m Σ (x - mean)²        x̂ = (x - mean) / √(var + eps)        y = gamma x̂ + beta
#
# The sums run over the m = 5 examples, one sum for each feature. `named` gives a value the name it has in the picture.


# %%
@mg.composite
def batch_norm(x, gamma, beta):
    mean = mg.mean(x, axis=0).named("mean")
    deviation = (x - mean).named("deviation")
    var = mg.mean(deviation**2, axis=0).named("var")
    r = mg.rsqrt(var + eps).named("r")
    centred = (x - mean).named("centred")  # the deviation again, to tell the two ways that x takes from here apart
    x_hat = (centred * r).named("x_hat")
    return gamma * x_hat + beta


with mg.trace() as graph:
    y = batch_norm(x, gamma, beta).named("y")
    y.backward(g)
print("y: mean", y.numpy().mean(axis=0), "is beta, standard deviation", y.numpy().std(axis=0), "is |gamma|")

# %% [markdown]
# `y.backward(g)` was the chain rule: backwards through the primitives, each handing the cotangent of its output on to
# its inputs. The picture shows the values on the left, their cotangents ∂ beside them, and on each dashed line the rule
# that ran there: `g` is the cotangent that the line starts from, `y` the output, and the rest are the inputs.

# %%
graph.save("batch_norm.svg", passes="both", depth=2)
graph.save("batch_norm.png", passes="both", depth=2)

# %% [markdown]
# ## 2. The closed form
#
# The paper differentiates by hand: first by the variance, then by the mean, then by x, and that one has three terms.
#
#     ∂x̂ = g gamma      ∂var = -½ (var + eps)^(-3/2) Σ ∂x̂ (x - mean)      ∂mean = -(var + eps)^(-1/2) Σ ∂x̂
#     ∂x = ∂x̂ / √(var + eps)  +  ∂var · 2 (x - mean) / m  +  ∂mean / m
#
# (In the paper ∂mean has one more term, ∂var · Σ -2 (x - mean) / m. It is zero; section 3 shows why.)


# %%
def terms(g, x, gamma):
    m, mean = x.shape[0], mg.mean(x, axis=0)
    r = mg.rsqrt(mg.mean((x - mean) ** 2, axis=0) + eps)
    d_var = -0.5 * r**3 * mg.sum(g * gamma * (x - mean), axis=0)
    d_mean = -r * mg.sum(g * gamma, axis=0)
    return g * gamma * r, d_var * 2 * (x - mean) / m, d_mean / m


def closed_form(g, x, gamma):
    return sum(terms(g, x, gamma))


def difference(a, b):
    return np.abs(a.numpy() - b.numpy()).max()


print("∂x by the chain rule\n", x.grad.numpy())
print("the closed form differs by", difference(x.grad, closed_form(g, x, gamma)))
assert difference(x.grad, closed_form(g, x, gamma)) <= 1e-12

# %% [markdown]
# ## 3. Why three terms: the routes
#
# x reaches y by four routes: directly, through the mean, through the variance, and through the mean *inside* the
# variance. The chain rule is the sum over all routes, and `graph.routes` keeps apart what comes by each.

# %%
routes = graph.routes(y, x, through=["mean", "var"], cotangent=g)
print(routes)
for labels, term in zip(((), "var", "mean"), terms(g, x, gamma), strict=True):
    assert difference(routes[labels], term) <= 1e-12  # a route is a term of the formula
assert difference(routes["mean", "var"], 0 * x) <= 1e-12
assert np.array_equal(routes.total.numpy(), x.grad.numpy())

# %% [markdown]
# The fourth is zero. Why? `graph.derivation` writes down how the cotangent of a value came about.

# %%
print(graph.derivation("mean").text)
print("∂deviation", *graph.node("deviation").grad, "Σ", graph.node("deviation").grad.sum(axis=0), sep="\n")

# %% [markdown]
# The mean gets two terms: from `centred`, and from `deviation`, which is what goes through the variance. That one sums
# ∂deviation = 2 ∂var / 5 · deviation, and deviations add up to nothing: their squares are smallest around the mean.
# All of it is in the picture: the direct route is ∂centred, {var} is ∂deviation, {mean} is ∂mean / 5. In short,
#
#     ∂x = gamma / √(var + eps) · ( g  -  mean(g)  -  x̂ mean(g x̂) )
#
# and the routes through the mean and the variance *take away*. They must: to shift a column or to stretch it does not
# change y (but for eps), so there is nothing to gain by it. What is left is at right angles to 1 and to x̂.

# %%
x_hat = graph.node("x_hat").value
print("Σ ∂x:", *x.grad.numpy().sum(axis=0), "   Σ ∂x x̂:", *(x.grad.numpy() * x_hat).sum(axis=0), "(eps is 1e-5)")

# %% [markdown]
# ## 4. The derivative of the derivative
#
# A penalty on gradients differentiates ∂x once more. The chain rule does so in its own steps, and so it can in those of
# the closed form, which is written in minigrad's functions. But a backward pass often takes the statistics that it kept
# from the forward pass, and forgets that they depend on x. As a first derivative it is right. One gamma is 0 here.


# %%
def kept_statistics(g, x, gamma):
    mean, r = mg.mean(x, axis=0), mg.rsqrt(mg.var(x, axis=0) + eps)
    mean, r = (mg.stop_gradient(s, why="kept from the forward pass: wrong, to show it") for s in (mean, r))
    return gamma * r * (g - mg.mean(g, axis=0) - (x - mean) * r * mg.mean(g * (x - mean) * r, axis=0))


gamma = mg.tensor([1.5, 0.0], requires_grad=True)
v = mg.tensor(rng.normal(size=(5, 2)))
(first,) = mg.gradients(batch_norm(x, gamma, beta), [x], cotangent=g, create_graph=True)
(second,) = mg.gradients(first, [x], cotangent=v, retain_graph=True)  # the derivative of Σ v ∂x
for name, form in {"closed form": closed_form, "kept statistics": kept_statistics}.items():
    dx = form(g, x, gamma)
    (ddx,) = mg.gradients(dx, [x], cotangent=v)
    error = difference(ddx, second) / np.abs(second.numpy()).max()
    print(f"{name}: first derivative within {difference(dx, first):.0e}, second off by {100 * error:.2g} %")
    assert difference(dx, first) <= 1e-12
    assert error <= 1e-12 if form is closed_form else error >= 0.1
