"""How threads wait is for the user to say first."""

import pytest

from sequnet_pl.waiting import wait_passively


def test_nothing_said():
    environment = {"PATH": "/bin"}
    wait_passively(environment)
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert {"GOMP_SPINCOUNT", "KMP_BLOCKTIME"} <= environment.keys()


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_what_the_user_says_is_left_alone(name):
    environment = {name: "active"}
    wait_passively(environment)
    assert environment == {name: "active"}
