"""Counted work against what the shapes say."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks.work import flops, main, of_config
from ebm_jax.nn.convolution import conv
from tests.test_configs import ROOT

A, B = jnp.zeros((3, 4)), jnp.zeros((4, 5))
PRODUCT = 2 * 3 * 4 * 5


def test_products():
    assert flops(jnp.matmul, A, B) == PRODUCT
    assert flops(lambda a, b: jnp.einsum("bij,bjk->bik", a, b), A[None], B[None]) == PRODUCT
    assert flops(lambda a, b: jax.jit(jnp.matmul)(a, b) + 1, A, B) == PRODUCT
    assert flops(jnp.add, A, A) == 0


def test_gradients_take_two_products_more():
    def loss(b, a):
        return jnp.sum(jnp.matmul(a, b) ** 2)

    assert flops(jax.grad(loss), B, A) == 2 * PRODUCT
    assert flops(jax.grad(loss, argnums=(0, 1)), B, A) == 3 * PRODUCT


@pytest.mark.parametrize("groups, kernel", [(1, (3, 3, 6, 12)), (6, (3, 3, 1, 12))])
def test_convolutions(groups, kernel):
    def convolve(x, w):
        names = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, w, (2, 2), "SAME", dimension_numbers=names, feature_group_count=groups
        )

    expected = 2 * (2 * 4 * 4 * 12) * 3 * 3 * (6 // groups)
    assert flops(convolve, jnp.zeros((2, 8, 8, 6)), jnp.zeros(kernel)) == expected


def test_transposed_convolutions_count_no_zeros():
    names = ("NHWC", "HWIO", "NHWC")

    def double(x, w):
        return jax.lax.conv_transpose(x, w, (2, 2), "SAME", dimension_numbers=names)

    # Every value meets every kernel weight once, but for those that fall over the edge.
    found = flops(double, jnp.zeros((2, 8, 8, 6)), jnp.zeros((4, 4, 6, 5)))
    assert found == 2 * (2 * 8 * 8 * 6) * 4 * 4 * 5


def test_loops_count_in_full():
    def chain(a, b):
        return jax.lax.fori_loop(0, 7, lambda _, x: jnp.tanh(x @ b @ b.T), a)

    assert flops(chain, A, B) == 14 * PRODUCT
    assert flops(
        lambda a, b: jax.lax.scan(lambda x, _: (x @ b @ b.T, None), a, length=3), A, B
    ) == (6 * PRODUCT)


def test_what_nothing_uses_is_no_work():
    def chain(a, b):  # the gradient to b of each step is dropped
        def step(_, x):
            return x + jax.grad(lambda x, b: jnp.sum((x @ b) ** 2), argnums=(0, 1))(x, b)[0]

        return jax.lax.fori_loop(0, 7, step, a)

    assert flops(chain, A, B) == 7 * 2 * PRODUCT


def test_of_branches_the_dearest_counts():
    def choose(a, b, yes):
        return jax.lax.cond(yes, lambda: a @ b, lambda: 2 * (a @ (b @ b.T)) @ b)

    assert flops(choose, A, B, True) == 2 * 4 * 5 * 4 + 2 * 3 * 4 * 4 + PRODUCT


def test_of_forms_for_platforms_the_cheapest_counts():
    """They give the same numbers, so the cheapest is what the operation takes."""

    def product(a, b):
        return jax.lax.platform_dependent(
            a, b, cpu=lambda a, b: (a @ b) @ jnp.eye(5), default=lambda a, b: a @ b
        )

    assert flops(product, A, B) == PRODUCT


def test_of_forms_without_products_the_others_count():
    """A depthwise convolution is elementwise sums on one platform and products on others."""

    def product(a, b):
        sums = lambda a, b: (a[:, :, None] * b[None]).sum(1)  # noqa: E731
        return jax.lax.platform_dependent(a, b, cpu=sums, default=lambda a, b: a @ b)

    assert flops(product, A, B) == PRODUCT
    x, kernel = jnp.zeros((2, 8, 8, 6)), jnp.zeros((3, 3, 1, 6))
    assert flops(lambda x, k: conv(x, k, groups=6), x, kernel) == 2 * x.size * 9


def test_loops_of_unknown_length_are_refused():
    def halve(a, b):
        return jax.lax.while_loop(lambda x: x.sum() > 1, lambda x: x @ b @ b.T, a)

    with pytest.raises(ValueError, match="known at run time alone"):
        flops(halve, A, B)


def test_work_of_a_config(capsys):
    path = ROOT / "configs" / "digits_joint.py"
    work = of_config(path)
    assert work.batch == 128 and work.gflop > 0
    # At least the forward and one backward pass of energies and prior in each of the 80 steps.
    sizes = (16, 64, 64, 1), (8, 64, 64, 1), (8, 64, 64)
    assert main([str(path)]) == 0
    assert "| `digits_joint` | 128 |" in capsys.readouterr().out
    per_step = sum(2 * a * b for s in sizes for a, b in zip(s, s[1:], strict=False)) * 128
    assert work.gflop * 1e9 > 80 * 2 * per_step
