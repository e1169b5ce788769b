"""The digest line is fixed by what other programs have written into histories."""

from crm.model.digests import digest_text, operation_digest


def test_no_parameters_give_the_published_digest() -> None:
    assert operation_digest({}) == "f2317cad3d54cec5d7d7aa7d0bf35cf8"


def test_a_20_s_monitor_without_parameters_gives_the_published_digest() -> None:
    digest = operation_digest({}, interval_ms=10_000, timeout_ms=20_000)
    assert digest == "4811cef7f7f94e3a35a70be7916cb2fd"


def test_the_timeout_of_an_operation_that_is_not_repeated_does_not_count() -> None:
    assert operation_digest({"ip": "1.2.3.4"}, timeout_ms=5) == operation_digest({"ip": "1.2.3.4"})


def test_parameters_are_sorted_and_escaped() -> None:
    assert digest_text({"b": 'x"<&', "a": "1"}) == (' <parameters a="1" b="x&quot;&lt;&amp;"/>\n')


def test_meta_attributes_do_not_count() -> None:
    assert operation_digest({"CRM_meta_timeout": "7"}) == operation_digest({})
