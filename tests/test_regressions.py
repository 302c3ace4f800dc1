"""One test for each fault that was found by reading or by attack, named by what was wrong."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import minigrad as mg


def leaf(*values: float, **options: Any) -> mg.Tensor:
    return mg.tensor(values, requires_grad=True, **options)


# ---- the sweep


def test_a_path_through_a_freed_graph_was_left_out_of_gradients() -> None:
    x = leaf(1.0, 2.0)
    h = mg.exp(x)
    h.sum().backward()
    y = (h * x).sum()
    with pytest.raises(mg.errors.GraphFreedError, match="'exp'"):
        mg.gradients(y, [x])


def test_gradients_of_a_freed_graph_were_none() -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward()
    for unused in (True, False):
        with pytest.raises(mg.errors.GraphFreedError, match="retain_graph"):
            mg.gradients(y, [x], allow_unused=unused)


def test_gradients_freed_what_lies_behind_their_target() -> None:
    x = leaf(1.0, 2.0)
    h = mg.exp(x)
    (dh,) = mg.gradients((h * h).sum(), [h])
    assert dh is not None
    h.backward(dh)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp([2.0, 4.0]))


def test_gradients_computed_what_nobody_asked_for() -> None:
    x, w = leaf(-2.0), leaf(2.0)
    with np.errstate(invalid="raise"):  # the rule for the exponent takes the logarithm of x
        (dx,) = mg.gradients(x**w, [x])
    assert dx is not None
    assert dx.tolist() == [-4.0]


def test_a_tracked_cotangent_of_another_dtype_lost_its_track() -> None:
    x, c = leaf(1.0, 2.0, dtype="float32"), leaf(1.0, 1.0)
    (dx,) = mg.gradients(x * x, [x], cotangent=c, create_graph=True)
    assert dx is not None
    (dc,) = mg.gradients(dx.sum(), [c])
    assert dc is not None
    assert (dc.tolist(), dc.dtype) == ([2.0, 4.0], np.float64)


def test_a_hook_that_held_its_tensor_kept_it_for_ever() -> None:
    def hooked() -> weakref.ref[mg.Tensor]:
        x = leaf(1.0)
        x.register_hook(lambda g: g * x.detach())
        return weakref.ref(x)

    gone = hooked()
    gc.collect()
    assert gone() is None


def test_remat_called_the_hooks_of_its_inputs_twice() -> None:
    x, w, seen = leaf(1.0, 2.0), leaf(3.0), []
    x.register_hook(lambda g: g * 10.0)
    w.register_hook(lambda g: seen.append(g.item()))
    (mg.remat(lambda x: x * x * w)(x) * w).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [180.0, 360.0]
    assert seen == [30.0]


def test_threads_that_shared_a_graph_lost_gradients() -> None:
    x = leaf(1.0)
    y = (x * x).sum()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda: [y.backward(retain_graph=True) for _ in range(300)]) for _ in range(4)
        ]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
    assert x.grad is not None
    assert x.grad.item() == 4 * 300 * 2.0


def test_remat_used_a_leaf_that_was_rebound_where_the_result_did_not_show_it() -> None:
    x, w = leaf(0.0), leaf(1.0)
    y = mg.remat(lambda x: x * w)(x)
    w.data = np.array([5.0])
    with pytest.raises(mg.errors.GraphError, match="remat"):
        y.backward()


# ---- transforms


def test_tangents_went_by_position_where_there_are_names() -> None:
    _, dy = mg.jvp(lambda d: 2.0 * d["a"] + 3.0 * d["b"], [{"a": 1.0, "b": 1.0}], [{"b": 1.0, "a": 0.0}])
    assert dy.item() == 3.0
    with pytest.raises(TypeError, match="names"):
        mg.jvp(lambda d: d["a"], [{"a": 1.0}], [{"b": 1.0}])
    with pytest.raises(TypeError, match=r"tangents\[0\]"):
        mg.hvp(lambda t: (t[0] * t[1]).sum(), [(1.0, 2.0)], [(1.0,)])


def test_jvp_and_hvp_left_cycles_for_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        mg.jvp(mg.sin, [1.0], [1.0])
        mg.hvp(lambda x: (x * x * x).sum(), [mg.ones(3)], [mg.ones(3)])
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_an_argument_named_twice_had_no_gradient_the_first_time() -> None:
    with pytest.raises(TypeError, match="twice"):
        mg.grad(lambda x, y: x * y, (0, -2))(2.0, 3.0)


def test_hessian_of_a_structure_raised() -> None:
    (aa, ab), (ba, bb) = mg.hessian(lambda t: (t[0] * t[0] * t[1]).sum())(
        (mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]))
    )
    np.testing.assert_array_equal(aa.numpy(), np.diag([6.0, 8.0]))
    np.testing.assert_array_equal(ab.numpy(), np.diag([2.0, 4.0]))
    np.testing.assert_array_equal(ba.numpy(), ab.numpy())
    assert not bb.numpy().any()


# ---- operands, indices, dtypes


def test_complex_operands_were_taken() -> None:
    x = leaf(1.0)
    with pytest.raises(mg.errors.DtypeError, match="complex128"):
        x * mg.backend.get_backend(x.device).asarray([1j])
    with pytest.raises(mg.errors.DtypeError, match="complex64"):
        x.astype("complex64")


def test_fractions_were_cut_off_in_slices_and_shapes() -> None:
    x = leaf(1.0, 2.0, 3.0)
    for wrong in (lambda: x[0:1.9], lambda: mg.reshape(x, (1.9, 3)), lambda: mg.broadcast_to(x, (2.9, 3))):
        with pytest.raises(TypeError, match="integer"):
            wrong()


def test_an_empty_list_was_no_index_and_a_tuple_neither() -> None:
    x = leaf(1.0, 2.0, 3.0)
    assert x[[]].shape == (0,)
    assert x[(0, 2),].tolist() == [1.0, 3.0]


def test_a_device_index_without_axes_came_back_with_one() -> None:
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], device="fakecupy", requires_grad=True)
    y = x[mg.tensor(np.array(-1), device="fakecupy")]
    assert y.tolist() == [3.0, 4.0]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 0.0], [1.0, 1.0]]


def test_axes_as_numpy_integers_were_refused() -> None:
    one = np.int64(1)
    assert mg.expand_dims(mg.ones(3), one).shape == (3, 1)
    assert mg.moveaxis(mg.ones((2, 3)), one, np.int64(0)).shape == (3, 2)


def test_products_of_small_integers_overflowed() -> None:
    for dtype in ("uint8", "int16", "bool"):
        a = np.array([16, 16, 3]).astype(dtype)
        y = mg.prod(mg.tensor(a))
        assert (y.item(), y.dtype) == (np.prod(a), np.prod(a).dtype)


def test_a_tensor_of_one_element_could_not_be_formatted() -> None:
    x = mg.tensor(1.5)
    assert f"{x:.3f} {leaf(2.0):g} {x}" == f"1.500 2 {x!r}"


def test_of_nothing_the_error_was_numpys() -> None:
    """What keeps its shape has nothing to answer; a sum of exponentials over nothing has no logarithm."""
    for f in (mg.softmax, mg.log_softmax):
        for shape in ((3, 0), (0, 3), (5, 0, 0)):
            assert f(mg.zeros(shape)).shape == shape
    with pytest.raises(mg.errors.ShapeError, match=r"\(3, 0\)"):
        mg.logsumexp(mg.zeros((3, 0)), 1)
    assert mg.logsumexp(mg.zeros((0, 3)), 1).shape == (0,)


def test_max_pool_padded_integers_with_infinity() -> None:
    x = mg.tensor(np.full((1, 1, 3, 3), -7))
    assert mg.max_pool2d(x, 3, 1, 1).numpy().tolist() == np.full((1, 1, 3, 3), -7).tolist()


# ---- modules and optimisers


def test_two_parameters_of_one_name_became_one_in_the_state() -> None:
    class Two(mg.Module):
        def __init__(self) -> None:
            self.by_key = {1: mg.Parameter(1.0), "1": mg.Parameter(2.0)}

    with pytest.raises(mg.errors.DeclarationError, match=r"by_key\.1"):
        Two().state_dict()


def test_loading_was_left_half_done_by_a_value_that_overflowed() -> None:
    class Two(mg.Module):
        def __init__(self) -> None:
            self.a, self.b = mg.Parameter(mg.ones(1)), mg.Parameter(mg.ones(1, dtype="float16"))

    model = Two()
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        model.load_state_dict({"a": np.zeros(1), "b": np.array([1e9])})
    assert model.a.item() == 1.0


def test_sgd_without_momentum_remembered_an_infinity() -> None:
    for dtype in ("float64", "float16"):  # the fused kernel, and the primitives
        p = mg.Parameter(mg.ones(1, dtype=dtype))
        optimizer = mg.optim.SGD([p], lr=0.5)
        for g in (np.inf, 1.0):
            p.data = np.ones(1, dtype)
            p.grad = np.array([g], dtype)
            optimizer.step()
        assert p.item() == 0.5


def test_an_optimiser_could_not_follow_a_model_that_was_moved_or_converted() -> None:
    def trained(change: Any) -> Any:
        model = mg.layer("Linear", 2, 1)
        model.load_state_dict({"weight": [[1.0, 2.0]], "bias": [3.0]})
        optimizer = mg.optim.Adam(model.parameters(), lr=0.1)
        for step in range(4):
            if step == 2:
                change(model)
            optimizer.zero_grad()
            x = mg.ones((1, 2), dtype=model.weight.dtype, device=model.weight.device)
            (model(x) ** 2).sum().backward()
            optimizer.step()
        return model.state_dict()["weight"]

    expected = trained(lambda model: None)
    for change in (lambda m: m.to("fakecupy"), lambda m: m.astype("float64"), lambda m: m.to("fakecupy").to("numpy")):
        np.testing.assert_allclose(trained(change), expected, rtol=1e-5)


def test_arguments_in_pytorchs_order_were_taken_for_others() -> None:
    group = mg.optim.SGD([mg.Parameter(1.0)], 0.1, 0.9, 0.2, 1e-4).param_groups[0]
    assert (group["momentum"], group["dampening"], group["weight_decay"]) == (0.9, 0.2, 1e-4)
    with pytest.raises(mg.errors.ArgumentError, match="nesterov"):
        mg.optim.SGD([mg.Parameter(1.0)], 0.1, 0.9, 0.2, 0, 1e-4)  # type: ignore[arg-type]


def test_std_of_float16_overflowed_with_its_square() -> None:
    x = mg.tensor([-400.0, 400.0], dtype="float16", requires_grad=True)
    y = mg.std(x)
    y.backward()
    assert x.grad is not None
    assert (y.item(), x.grad.tolist()) == (400.0, [-0.5, 0.5])


def test_a_cotangent_came_from_another_device_without_a_word() -> None:
    x = leaf(1.0, device="fakecupy")
    with pytest.raises(mg.errors.DeviceError, match=r"cotangent.*numpy.*fakecupy"):
        mg.gradients(x * x, [x], cotangent=mg.tensor([1.0], device="numpy"))
    (dx,) = mg.gradients(x * x, [x], cotangent=[3.0])  # plain numbers go where they are needed
    assert dx is not None
    assert dx.tolist() == [6.0]


def test_an_optimiser_loaded_options_out_of_their_range() -> None:
    optimizer = mg.optim.Adam([mg.Parameter(1.0)], lr=0.5)
    state = optimizer.state_dict()
    state["param_groups"][0]["lr"] = -1.0
    with pytest.raises(mg.errors.CheckpointError, match="lr"):
        optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_the_second_branch_of_where_had_no_gradient_under_a_number() -> None:
    for condition in (True, False, 1, 0.0):
        x = leaf(1.0, 2.0)
        mg.where(condition, 5.0, x).sum().backward()
        assert x.grad.tolist() == [0.0 if condition else 1.0] * 2
