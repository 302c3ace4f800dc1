# %% [markdown]
# # The engine
#
# minigrad computes every gradient by one rule, the chain rule, over a few small operations whose derivatives are known.
# Here is that engine written anew, as short as it can be: a tape, a sweep, and one rule for each input of an operation.
# It differentiates to any order, trains a network, and gives the numbers that minigrad gives, which is asserted.

# %%
import itertools

import numpy as np

import minigrad as mg

# %% [markdown]
# ## 1. The tape
#
# A value knows which values it was computed from, its *parents*, and for each of them a *rule*. It is numbered as it is
# made. Values point only at what is older, so there is no cycle, and the numbers are an order to walk in: a tape.

# %%
number = itertools.count()


class Value:
    def __init__(self, array, parents=(), rules=()):
        self.array, self.parents, self.rules = np.asarray(array, float), parents, rules
        self.age = next(number)


# %% [markdown]
# ## 2. One rule for each input
#
# Let a number L be computed from y, and y from x. A rule is given g = ∂L/∂y, the *cotangent* of y, and says what gets
# to x on this way: g · ∂y/∂x. It may use y and the inputs: for `tanh`, g · (1 - y²); a sum hands g to every element; a
# product of matrices hands g bᵀ to the left and aᵀ g to the right. The rules are written in the operations themselves
# and not in NumPy, so what a rule computes is on the tape too.


# %%
def primitive(*rules):
    def declare(forward):
        def call(*inputs):
            inputs = tuple(x if isinstance(x, Value) else Value(x) for x in inputs)
            return Value(forward(*(x.array for x in inputs)), inputs, rules)

        return call

    return declare


add = primitive(lambda g, y, a, b: g, lambda g, y, a, b: g)(np.add)
multiply = primitive(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)(np.multiply)
matmul = primitive(lambda g, y, a, b: matmul(g, transpose(b)), lambda g, y, a, b: matmul(transpose(a), g))(np.matmul)
transpose = primitive(lambda g, y, x: transpose(g))(np.transpose)
tanh = primitive(lambda g, y, x: g * (1.0 + y * y * -1.0))(np.tanh)
total = primitive(lambda g, y, x: g * np.ones(x.array.shape))(np.sum)
Value.__add__ = Value.__radd__ = add  # an operator is the very same function
Value.__mul__, Value.__sub__ = multiply, lambda a, b: add(a, multiply(b, -1.0))


# %% [markdown]
# ## 3. The sweep
#
# From the result back to the leaves, newest first. When a value's turn comes, all that was computed from it has had
# its own, so its cotangent is complete. Each of its rules then adds a share to the cotangent of one parent. The sum
# over all ways from the result to a value is the chain rule; there is nothing more to it.


# %%
def sweep(result):
    cotangents, tape, ahead = {result: Value(1.0)}, {result}, [result]
    while ahead:  # what the result was computed from, however it was
        found = set(ahead.pop().parents) - tape
        tape |= found
        ahead += found
    for value in sorted(tape, key=lambda v: v.age, reverse=True):
        g = cotangents[value]
        for parent, rule in zip(value.parents, value.rules, strict=True):
            share = rule(g, value, *value.parents)
            cotangents[parent] = cotangents[parent] + share if parent in cotangents else share
    return cotangents


# %% [markdown]
# ## 4. Any order
#
# The cotangents that a sweep returns are values with parents of their own, so the derivative is differentiated as the
# function was: by another sweep. minigrad does the same where it is asked with `create_graph=True`.

# %%
ours, theirs = Value(0.3), mg.tensor(0.3, requires_grad=True)
a, b = tanh(ours * ours), mg.tanh(theirs * theirs)
for order in (1, 2, 3, 4):
    a = sweep(a)[ours]
    (b,) = mg.gradients(b, [theirs], create_graph=True)
    print(f"derivative {order} of tanh(x²) at 0.3: {float(a.array):+.6f}, minigrad's {b.item():+.6f}")
    assert abs(float(a.array) - b.item()) <= 1e-13

# %% [markdown]
# ## 5. A network learns
#
# Inside or outside of a circle: eight neurons, 300 steps downhill. The bias is a column of ones among the inputs.

# %%
rng = np.random.default_rng(0)
points = rng.uniform(-1, 1, (40, 2))
inputs, labels = np.hstack([points, np.ones((40, 1))]), np.where((points**2).sum(1, keepdims=True) < 0.5, 1.0, -1.0)
weights = [rng.normal(0, 1, (3, 8)), rng.normal(0, 1, (8, 1))]


def loss(w, v, matmul, tanh, total):
    error = tanh(matmul(tanh(matmul(inputs, w)), v)) - labels
    return total(error * error) * (1 / 40)


mine, real, slopes = weights, weights, mg.grad(loss, (0, 1))
for _ in range(300):
    w, v = map(Value, mine)
    now = loss(w, v, matmul, tanh, total)
    found = sweep(now)
    mine = [x.array - 0.2 * found[x].array for x in (w, v)]
    real = [x - 0.2 * d.numpy() for x, d in zip(real, slopes(*real, mg.matmul, mg.tanh, mg.sum), strict=True)]
apart = max(float(abs(a - b).max()) for a, b in zip(mine, real, strict=True))
print(f"loss {float(now.array):.4f}; after 300 steps the weights of the two differ by {apart:.0e}")
assert apart <= 1e-9
assert float(now.array) <= 0.25

# %% [markdown]
# ## 6. The real one
#
# `minigrad/core/sweep.py` is the loop above. Besides, it frees what it has passed, sums a cotangent back where an input
# was repeated, keeps only what a rule asks for by name, runs on bare arrays where no higher order is wanted, and says
# where in your code a rule failed. And it can be watched: values on the left, their cotangents on the right, and each
# dashed line is one rule at work.

# %%
x = mg.tensor([0.5, -1.0, 2.0], requires_grad=True, name="x")
w = mg.tensor([1.0, 0.5, -0.25], requires_grad=True, name="w")
with mg.trace() as graph:
    y = mg.sum(mg.tanh(x * w)).named("y")
    y.backward()
graph.save("engine.svg", passes="both")
ours = Value(x.numpy())
assert np.array_equal(sweep(total(tanh(ours * w.numpy())))[ours].array, x.grad.numpy())
