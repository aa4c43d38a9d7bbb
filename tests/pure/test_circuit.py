"""When a destination is left alone, and how it comes back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.rules.outbound.circuit import Circuit


def opened(at: float = 100.0) -> Circuit:
    circuit = Circuit()
    for number in range(10):
        circuit.on_result(False, number % 3, at)
    assert circuit.state == "open"
    return circuit


def test_ten_failures_over_three_events_open_it():
    circuit = Circuit()
    for number in range(9):
        circuit.on_result(False, number, 5.0)
    assert (circuit.state, circuit.allow(5.0), circuit.opened_at) == ("closed", "yes", None)
    circuit.on_result(False, 9, 6.0)
    assert (circuit.state, circuit.allow(6.0), circuit.opened_at, circuit.next_probe_at) == ("open", "no", 6.0, 7.0)


def test_one_poisonous_event_or_two_cannot_open_it():
    circuit = Circuit()
    for number in range(1000):
        circuit.on_result(False, number % 2, 1.0)
    assert circuit.state == "closed"
    circuit.on_result(False, 2, 1.0)
    assert circuit.state == "open"


def test_a_success_between_starts_the_count_anew():
    circuit = Circuit()
    for number in range(100):
        circuit.on_result(False, number, 1.0)
        if number % 9 == 8:
            circuit.on_result(True, 1000, 1.0)
    assert circuit.state == "closed"


def test_one_probe_at_a_time_and_its_success_closes():
    circuit = opened(100.0)
    assert circuit.allow(100.9) == "no"
    assert circuit.allow(101.0) == "probe"
    assert circuit.state == "half_open"
    assert [circuit.allow(101.0), circuit.allow(500.0)] == ["no", "no"]
    circuit.on_result(True, 1, 501.0)
    assert (circuit.state, circuit.allow(501.0), circuit.opened_at, circuit.next_probe_at) == (
        "closed",
        "yes",
        None,
        None,
    )


def test_pauses_double_to_thirty_seconds_and_start_anew_after_closing():
    circuit, now, pauses = opened(0.0), 0.0, []
    for _ in range(8):
        pauses.append(circuit.next_probe_at - now)
        now = circuit.next_probe_at
        assert circuit.allow(now) == "probe"
        circuit.on_result(False, 1, now)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert circuit.opened_at == 0.0
    assert circuit.allow(now + 30) == "probe"
    circuit.on_result(True, 1, now)
    for number in range(10):
        circuit.on_result(False, number, now)
    assert circuit.next_probe_at == now + 1


def test_what_failed_before_it_closed_is_forgotten():
    circuit = opened(0.0)
    circuit.on_result(True, 1, 1.0)
    for _ in range(100):
        circuit.on_result(False, 1, 2.0)
    assert circuit.state == "closed"


def test_failures_of_stragglers_do_not_lengthen_the_pause():
    circuit = opened(0.0)
    circuit.on_result(False, 77, 0.5)
    assert circuit.next_probe_at == 1.0
    assert circuit.allow(1.0) == "probe"
    circuit.probing(5)
    circuit.on_result(False, 77, 1.1)
    assert circuit.state == "half_open"
    circuit.on_result(False, 5, 1.2)
    assert (circuit.state, circuit.next_probe_at) == ("open", 3.2)


def test_a_success_of_a_straggler_closes_it():
    circuit = opened(0.0)
    circuit.on_result(True, 77, 0.5)
    assert circuit.allow(0.5) == "yes"


def test_a_probe_that_was_cut_off_may_be_sent_again_at_once():
    circuit = opened(0.0)
    assert circuit.allow(1.0) == "probe"
    circuit.probe_lost(1.5)
    assert [circuit.allow(1.5), circuit.allow(1.5)] == ["probe", "no"]


@given(st.lists(st.tuples(st.sampled_from(["ok", "fail", "allow", "lost"]), st.integers(0, 4), st.floats(0, 10))))
def test_an_open_circuit_never_lets_two_probes_out(steps):
    circuit, now, probes = Circuit(), 0.0, 0
    for what, offset, wait in steps:
        now += wait
        if what == "allow":
            answer = circuit.allow(now)
            assert (answer == "yes") is (circuit.state == "closed")
            probes += answer == "probe"
        elif what == "lost":
            probes -= circuit.state == "half_open"
            circuit.probe_lost(now)
        else:
            circuit.on_result(what == "ok", offset, now)
        if circuit.state != "half_open":
            probes = 0
        assert probes == (circuit.state == "half_open")
        assert (circuit.opened_at is None) is (circuit.state == "closed")
        assert (circuit.next_probe_at is None) is (circuit.state != "open")
