from lightspeed.capsules.capsule import Failure, cut, minor


def test_a_failure_is_the_same_but_for_addresses_and_what_was_redacted():
    then = Failure("ValueError", "<a at 0x7f00aa> [redacted]!")
    assert then.is_as(Failure("ValueError", "<a at 0x7f11bb> hunter2!"))
    assert not then.is_as(Failure("ValueError", "<b at 0x7f11bb> hunter2!"))
    assert not then.is_as(Failure("KeyError", then.text))
    assert not then.is_as(Failure("ValueError", then.text, stuck=True))


def test_long_texts_are_cut_and_say_so_and_all_are_fit_for_utf_8():
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "abc... (1 more)"
    assert cut("\udcff", 10) == "\\udcff"
    assert len(Failure("t", "x" * 1_000_000).text) < 5_000
    assert minor("3.11.7+local") == "3.11"
