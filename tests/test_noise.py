"""Random numbers: known answers, the cells and steps they follow from, any kind of key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from cortexmg import noise

KEY = jax.random.key(5, impl="threefry2x32")


def words(text):
    return np.array([int(word, 16) for word in text.split()], np.uint32)


@pytest.mark.parametrize(
    "counter, key, bits",
    [
        ("00000000 00000000", "00000000 00000000", "9d1c5ec6 8bd50731"),
        ("ffffffff ffffffff", "ffffffff ffffffff", "fd36d048 2d17272c"),
        ("243f6a88 85a308d3", "13198a2e 03707344", "ba3e4725 f27d669e"),
    ],
)
def test_random_bits_are_those_of_random123(counter, key, bits):
    """Its known answers (kat_vectors, threefry2x32 13)."""
    found = noise.threefry(jnp.asarray(words(key)), *words(counter))
    np.testing.assert_array_equal(np.array(found), words(bits))


@pytest.mark.parametrize("draw", [noise.bits, noise.normal])
def test_part_of_a_population_draws_what_the_whole_does(draw):
    whole = draw(KEY, jnp.int32(7), 1000, 0)
    for first, n in [(0, 1), (1, 999), (511, 300)]:
        part = jax.jit(draw, static_argnums=2)(KEY, jnp.int32(7), n, jnp.int32(first))
        np.testing.assert_array_equal(part, whole[first : first + n])


def test_every_step_cell_and_stream_draws_its_own():
    streams = [KEY, noise.stream(KEY, "a"), noise.stream(KEY, "b"), noise.stream(KEY, "a\n")]
    drawn = [noise.bits(key, jnp.uint32(k), 200, 0) for key in streams for k in (0, 1, 2**32 - 1)]
    every = np.concatenate(drawn)
    # Of 2,400 words of 32 bits two are alike with a probability of 7e-4.
    assert np.unique(every).size == every.size


@pytest.mark.parametrize("kind", ["threefry2x32", "philox4x32", "rbg"])
def test_keys_of_any_kind_have_streams_of_their_own(kind):
    first, second = (
        noise.bits(noise.stream(jax.random.key(seed, impl=kind), "noise"), jnp.int32(0), 64, 0)
        for seed in (1, 2)
    )
    assert not np.any(np.asarray(first) == np.asarray(second))


def test_neighbouring_cells_and_steps_are_uncorrelated():
    drawn = np.stack([np.asarray(noise.normal(KEY, jnp.int32(k), 500, 0)) for k in range(400)])
    n = drawn.size
    for other in (np.roll(drawn, 1, 0), np.roll(drawn, 1, 1), np.roll(drawn, 256, 1)):
        assert abs(np.mean(drawn * other)) < 4.5 / np.sqrt(n)


@pytest.mark.usefixtures("precision")
def test_normal_numbers_are_normal_and_finite_in_their_tails():
    drawn = np.asarray(noise.normal(KEY, jnp.int32(1), 400_000, 0), float)
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert 4.0 < np.abs(drawn).max() < 6.6


@pytest.mark.parametrize("extreme", [0, 2**32 - 1])
def test_the_most_extreme_bits_are_finite_numbers(extreme, monkeypatch, precision):
    monkeypatch.setattr(noise, "bits", lambda *_: jnp.full(1, extreme, jnp.uint32))
    (found,) = noise.normal(KEY, jnp.int32(0), 1, 0)
    exact = {np.float32: 23, np.float64: 31}[np.dtype(precision).type]
    np.testing.assert_allclose(abs(found), stats.norm.isf(2.0 ** -(exact + 1)), rtol=2e-3)
