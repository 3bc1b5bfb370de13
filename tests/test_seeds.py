"""Named random streams."""

import numpy as np
import pytest
import torch

from pybench import core, seeds


def test_a_generator_draws_from_the_stream_of_its_path() -> None:
    drawn = seeds.generator(5, "sampler", "epoch=3").bit_generator.random_raw(6)
    expected = core.philox(core.stream_key(5, "sampler/epoch=3"), size=6)
    np.testing.assert_array_equal(drawn, expected)


def test_numbers_may_be_parts_of_a_path() -> None:
    assert seeds.integer(0, "augment", 3, 17) == seeds.integer(0, "augment/3/17")


def test_streams_differ_by_seed_and_by_every_part_of_the_path() -> None:
    streams: list[tuple[int, tuple[str | int, ...]]] = [
        (0, ("init",)),
        (1, ("init",)),
        (0, ("split",)),
        (0, ("init", 0)),
        (0, ("init", 1)),
        (0, ("in", "it")),
    ]
    assert len({seeds.integer(seed, *name) for seed, name in streams}) == len(streams)
    assert len({seeds.generator(seed, *name).random() for seed, name in streams}) == len(streams)


def test_an_integer_is_the_first_word_of_the_stream_without_its_last_bit() -> None:
    first = seeds.generator(9, "init").bit_generator.random_raw()
    assert seeds.integer(9, "init") == first // 2
    assert max(seeds.integer(seed, "init") for seed in range(100)) > 2**62


def test_torch_generators_repeat_and_differ_by_name() -> None:
    first = torch.rand(4, generator=seeds.torch_generator(0, "init"))
    again = torch.rand(4, generator=seeds.torch_generator(0, "init"))
    other = torch.rand(4, generator=seeds.torch_generator(0, "augment"))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert seeds.torch_generator(0, "init").initial_seed() == seeds.integer(0, "init")


@pytest.mark.parametrize("name", [(), ("",), ("sampler", ""), ("sampler/",)])
def test_a_path_with_an_empty_part_is_refused(name: tuple[str, ...]) -> None:
    message = r"^name must be parts that are not empty, got '.*'; name what is drawn, as 'init'$"
    with pytest.raises(ValueError, match=message):
        seeds.generator(0, *name)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(
        ValueError, match=rf"^seed must be a whole number in 0..2\*\*64, got {seed};"
    ):
        seeds.integer(seed, "init")
