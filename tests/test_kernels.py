"""What is read off compiled programs."""

import jax
import jax.numpy as jnp
import pytest

from cortexmg import kernels

N = 1_000_000


def compiled(step, *shapes, length=100):
    """The text of a loop over `step`."""
    run = jax.jit(lambda c: jax.lax.fori_loop(0, length, lambda _, c: step(c), c))
    given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return run.lower(given[0] if len(given) == 1 else tuple(given)).compile().as_text()


def test_one_kernel_reads_and_writes_its_array_once():
    work = kernels.work_of_loop(compiled(lambda x: x + 0.1 * jnp.exp(-x * x), (N,)))
    assert work.moved == pytest.approx(2 * 4 * N, rel=0.01)
    assert work.loops == () and work.branches == 0 and work.kernels >= 1


def test_a_slice_counts_what_it_takes_out():
    def step(carry):
        x, y = carry
        piece = jax.lax.dynamic_slice(x, (jnp.int32(y[0]),), (100,))
        return x, y + piece

    assert kernels.work_of_loop(compiled(step, (N,), (100,))).moved < 10_000


def test_an_update_in_place_counts_what_it_changes():
    def step(carry):
        x, y = carry
        return jax.lax.dynamic_update_slice(x, y, (jnp.int32(y[0]),)), y * 0.5

    assert kernels.work_of_loop(compiled(step, (N,), (100,))).moved < 10_000


def test_a_loop_of_known_length_counts_as_often_as_it_runs():
    def step(x):
        return jax.lax.fori_loop(0, 7, lambda _, x: jnp.sin(x) + jax.lax.rsqrt(x), x)

    work = kernels.work_of_loop(compiled(step, (N,)))
    assert work.loops == () and work.moved >= 7 * 2 * 4 * N


def test_a_loop_whose_length_depends_on_data_is_found():
    def step(x):
        return jax.lax.while_loop(lambda x: jnp.max(x) < 1.0, lambda x: x * 2.0, x)

    work = kernels.work_of_loop(compiled(step, (N,)))
    assert work.all_loops == 1
    assert work.loops[0].moved >= 2 * 4 * N


def test_the_work_of_a_program_is_that_of_all_its_loops_by_step():
    def run(x):
        def forth(x, _):
            return jnp.sin(x) + jax.lax.rsqrt(x), x

        x, kept = jax.lax.scan(forth, x, length=10)
        return jax.lax.scan(lambda x, y: (x * jnp.cos(y), None), x, kept)[0]

    text = jax.jit(run).lower(jax.ShapeDtypeStruct((N,), jnp.float32)).compile().as_text()
    one, whole = kernels.work_of_loop(text), kernels.work_of_program(text, 10)
    assert whole.moved >= 1.5 * one.moved and whole.moved >= 5 * 4 * N
    assert 2 <= whole.kernels <= 12


def test_what_is_started_and_waited_for_is_counted_once():
    body = """
%sliced (p: f32[5,1000], i: s32[]) -> f32[1,1000] {
  %p = f32[5,1000]{1,0} parameter(0)
  %i = s32[] parameter(1)
  ROOT %d = f32[1,1000]{1,0} dynamic-slice(%p, %i, %i), dynamic_slice_sizes={1,1000}
}

ENTRY %main (a: f32[5,1000], k: s32[]) -> f32[1,1000] {
  %a = f32[5,1000]{1,0} parameter(0)
  %k = s32[] parameter(1)
  %c = (f32[5,1000], f32[5,1000], u32[]) copy-start(%a)
  %e = f32[5,1000]{1,0} copy-done(%c)
  %s = ((f32[5,1000]{1,0}, s32[]), f32[1,1000]{1,0}, u32[]) fusion-start(%e, %k), calls=%sliced
  ROOT %r = f32[1,1000]{1,0} fusion-done(%s)
}
"""
    found = kernels.work_of_program(body, 1)
    assert found.kernels == 2 and found.moved == 2 * 4 * 5000 + 2 * 4 * 1000 + 4


COUNTED = """
%body (s: (s32[], f32[1000])) -> (s32[], f32[1000]) {
  %s = (s32[], f32[1000]) parameter(0)
  %i = s32[] get-tuple-element(%s), index=0
  %x = f32[1000]{0} get-tuple-element(%s), index=1
  %one = s32[] constant(GROWTH)
  %more = s32[] add(%i, %one)
  %y = f32[1000]{0} sine(%x)
  ROOT %t = (s32[], f32[1000]) tuple(%more, %y)
}

%condition (s: (s32[], f32[1000])) -> pred[] {
  %s = (s32[], f32[1000]) parameter(0)
  %i = s32[] get-tuple-element(%s), index=0
  %end = s32[] constant(7)
  ROOT %less = pred[] compare(%i, %end), direction=LT
}

ENTRY %main (s: (s32[], f32[1000])) -> (s32[], f32[1000]) {
  %s = (s32[], f32[1000]) parameter(0)
  ROOT %w = (s32[], f32[1000]) while(%s), condition=%condition, body=%body
}
"""


@pytest.mark.parametrize("growth, loops", [("1", 0), ("3", 1)])
def test_a_loop_that_counts_to_a_constant_is_one_of_known_length(growth, loops):
    found = kernels.work_of_program(COUNTED.replace("GROWTH", growth), 1)
    assert found.all_loops == loops
    assert found.kernels == (7 * 2 if growth == "1" else 0)


def test_a_condition_is_found():
    def step(x):
        return jax.lax.cond(x[0] > 0, jnp.sin, lambda x: x @ jnp.ones((100, 100), jnp.float32), x)

    assert kernels.work_of_loop(compiled(step, (100,))).branches == 1


def test_a_program_without_a_loop_is_refused():
    text = jax.jit(lambda x: x + 1).lower(jnp.ones(3)).compile().as_text()
    with pytest.raises(ValueError, match="no loop"):
        kernels.work_of_loop(text)


@pytest.mark.parametrize(
    "shape, bytes_",
    [
        ("f32[10,20]{1,0}", 800),
        ("pred[7]{0}", 7),
        ("(s32[], bf16[4]{0}, /*index=2*/u8[3]{0})", 15),
        ("f64[2]", 16),
        ("token[]", 0),
        ("f8e4m3fn[5]", 5),
    ],
)
def test_sizes(shape, bytes_):
    assert kernels.size(shape) == bytes_
