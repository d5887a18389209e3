"""What is said of the machine beside its figures."""

from benchmarks.timing import busy


def test_a_busy_machine_is_told_by_the_least_of_all_loops():
    assert busy([2.0, 4.0, 4.0], [1.0, 1.0, 1.5]) == {"before": 4.0, "after": 1.0}
