"""A Terraform expression made to fill the memory is unknown, and one of honest size is not."""

from __future__ import annotations

import pytest

from policies.gate import patience
from policies.terraform.blocks import Unknown

HANGS = 600


def doubled(pattern: str, times: int = 40) -> str:
    """Return lines of which each holds the one before twice; `{0}` is a number, `{1}` the one before."""
    return "".join(pattern.format(n, n - 1) for n in range(1, times))


#: Locals of which the last must not be built, and how its name is written.
GROWN = {
    "a text that doubles": doubled('l{0} = "${{local.l{1}}}${{local.l{1}}}"\n'),
    "a list that doubles": doubled("l{0} = concat([local.l{1}], [local.l{1}])\n"),
    "join": doubled("l{0} = join(local.l{1}, [local.l{1}, local.l{1}, local.l{1}])\n"),
    "replace": doubled('l{0} = replace(local.l{1}, "x", local.l{1})\n'),
    "format": doubled('l{0} = format("%s%s", local.l{1}, local.l{1})\n'),
    "formatlist": doubled('l{0} = join("", formatlist("%s%s", [local.l{1}, "y"], local.l{1}))\n'),
    "a width in format": 'l39 = format("%999999999d", 1)\n',
    "range": "l39 = range(0, 999999999999)\n",
    "numbers that square": "n0 = 1e300\n" + doubled("n{0} = local.n{1} * local.n{1}\n") + "l39 = local.n39\n",
    "a text times a number": 'l39 = "%999999999d" % 5\n',
    "a list times a number": "l39 = [0] * 999999999\n",
    "for in for": "l39 = [for a in range(900) : [for b in range(900) : [for c in range(900) : a]]]\n",
}


@pytest.mark.parametrize("name", GROWN)
def test_a_terraform_value_that_would_fill_the_memory_is_unknown(modules, name):
    with patience.within(HANGS):
        [module] = modules({"main.tf": f'locals {{\nl0 = "xxxxxxxx"\n{GROWN[name]}}}\n'})
        [block] = module.own
        assert isinstance(block.value("l39"), Unknown)


def test_a_terraform_value_of_honest_size_is_known(modules):
    [module] = modules({"main.tf": 'locals {\n l0 = join(",", [for a in range(500) : "entry-${a}"])\n}\n'})
    assert module.own[0].value("l0").count("entry-") == 500
