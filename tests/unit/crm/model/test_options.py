from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.model import options
from crm.model.options import Kind, Option

TABLES = [
    options.CLUSTER_OPTIONS,
    options.RESOURCE_OPTIONS,
    options.CLONE_OPTIONS,
    options.GROUP_OPTIONS,
    options.OPERATION_OPTIONS,
]
EVERY = [option for table in TABLES for option in table.values()]


@pytest.mark.parametrize("option", EVERY, ids=lambda option: option.name)
def test_a_default_is_a_value_the_option_may_have(option: Option) -> None:
    assert option.default == "" or options.complaint(option, option.default) == ""


@pytest.mark.parametrize("option", EVERY, ids=lambda option: option.name)
def test_a_choice_lists_its_words_and_nothing_else_does(option: Option) -> None:
    assert (option.kind is Kind.CHOICE) == bool(option.values)


@pytest.mark.parametrize("option", EVERY, ids=lambda option: option.name)
def test_an_option_has_a_text_of_one_line(option: Option) -> None:
    assert option.text
    assert "\n" not in option.text
    assert not option.text.endswith(".")


def test_no_two_cluster_options_share_a_spelling() -> None:
    spellings = [name for option in options.CLUSTER_OPTIONS.values() for name in option.spellings]

    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("stonith-enabled", "stonith-enabled"),
        ("fencing-enabled", "stonith-enabled"),
        ("no_quorum_policy", "no-quorum-policy"),
        ("crmd-transition-delay", "transition-delay"),
    ],
)
def test_a_cluster_option_is_found_by_any_spelling(written: str, name: str) -> None:
    option = options.cluster_option(written)

    assert option is not None
    assert option.name == name


def test_an_unknown_name_is_no_option() -> None:
    assert options.cluster_option("my_own_option") is None
    assert options.meta_option("colour") is None
    assert options.operation_option("speed") is None


def test_old_names_of_promotion_are_read() -> None:
    option = options.meta_option("master_max")

    assert option is not None
    assert option.name == "promoted-max"


def test_a_setting_is_read_under_any_spelling_its_own_first() -> None:
    option = options.CLUSTER_OPTIONS["stonith-enabled"]

    assert options.setting({}, option) == "true"
    assert options.setting({"fencing-enabled": "false"}, option) == "false"
    assert options.setting({"stonith_enabled": "0"}, option) == "0"
    assert options.setting({"fencing-enabled": "x", "stonith-enabled": "y"}, option) == "y"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("stonith-enable", "stonith-enabled"),
        ("Stonith-Enabled", "stonith-enabled"),
        ("no-quorm-policy", "no-quorum-policy"),
        ("xyzzy", None),
    ],
)
def test_the_nearest_name_is_what_was_meant(written: str, meant: str | None) -> None:
    assert options.nearest(written, options.CLUSTER_OPTIONS) == meant


@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=6))
def test_the_nearest_name_is_a_candidate_and_does_not_depend_on_their_order(
    name: str, candidates: list[str]
) -> None:
    found = options.nearest(name, candidates)

    assert found is None or found in candidates
    assert found == options.nearest(name, candidates[::-1])


@pytest.mark.parametrize("word", ["true", "ON", "yes", "y", "1"])
def test_words_for_yes(word: str) -> None:
    assert options.as_bool(word) is True


@pytest.mark.parametrize("word", ["false", "Off", "no", "n", "0"])
def test_words_for_no(word: str) -> None:
    assert options.as_bool(word) is False


@pytest.mark.parametrize("word", ["", "maybe", "legacy", "2"])
def test_other_words_are_no_boolean(word: str) -> None:
    with pytest.raises(ValueError, match=word or "''"):
        options.as_bool(word)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-INFINITY", -1_000_000),
        ("+infinity", 1_000_000),
        ("33.5", 33),
        ("9999999", 10**6),
    ],
)
def test_scores_are_read_and_limited(text: str, value: int) -> None:
    assert options.as_score(text) == value


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("no-quorum-policy", "stopp", "none of"),
        ("batch-limit", "many", "no score"),
        ("cluster-delay", "soon", "not a duration"),
        ("symmetric-cluster", "perhaps", "neither true nor false"),
        ("load-threshold", "much", "percentage"),
        ("stonith-max-attempts", "-1", "negative"),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(name: str, value: str, fault: str) -> None:
    complaint = options.complaint(options.CLUSTER_OPTIONS[name], value)

    assert value in complaint
    assert fault in complaint


def test_words_of_a_choice_count_in_any_case() -> None:
    assert options.complaint(options.CLUSTER_OPTIONS["no-quorum-policy"], "Freeze") == ""
