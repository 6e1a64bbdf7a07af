"""From plain values to typed ones: what is written, over what was there before."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from koordnri.policy.qos import ResourceQOS
from koordnri.policy.reader import read
from koordnri.policy.report import Report

PERCENT = st.integers(0, 100)
MEMORY = st.fixed_dictionaries(
    {},
    optional={
        "enable": st.booleans(),
        "minLimitPercent": PERCENT,
        "lowLimitPercent": PERCENT,
        "throttlingPercent": PERCENT,
        "wmarkRatio": PERCENT,
        "wmarkScalePermill": st.integers(1, 1000),
        "wmarkMinAdj": st.integers(-25, 50),
        "priority": st.integers(0, 12),
    },
)
CLASS = st.fixed_dictionaries(
    {}, optional={"memoryQOS": MEMORY, "resctrlQOS": st.fixed_dictionaries({}, optional={"mbaPercent": PERCENT})}
)
QOS = st.fixed_dictionaries({}, optional={"lsrClass": CLASS, "lsClass": CLASS, "beClass": CLASS, "systemClass": CLASS})


def laid_over(value, base):
    report = Report()
    result = read(ResourceQOS, value, report, base)
    assert report.mistakes == []
    return result


def written(document, prefix=()):
    for key, value in document.items():
        yield from written(value, (*prefix, key)) if isinstance(value, dict) else [(*prefix, key)]


def leaves(value, prefix=()):
    for info in msgspec.structs.fields(value):
        item = getattr(value, info.name)
        path = (*prefix, info.encode_name)
        if isinstance(item, msgspec.Struct):
            yield from leaves(item, path)
        else:
            yield path, item


@given(QOS)
def test_reading_twice_changes_nothing_more(document):
    once = laid_over(document, ResourceQOS())
    assert laid_over(document, once) == once


@given(QOS)
def test_only_what_is_written_differs_from_the_base(document):
    base, result = dict(leaves(ResourceQOS())), dict(leaves(laid_over(document, ResourceQOS())))
    assert {path for path in base if base[path] != result[path]} <= set(written(document))
    for path in written(document):
        value = document
        for key in path:
            value = value[key]
        assert result[path] == value


@given(QOS, QOS)
def test_the_later_document_wins_and_the_earlier_fills_in(first, second):
    result = dict(leaves(laid_over(second, laid_over(first, ResourceQOS()))))
    only_first = dict(leaves(laid_over(first, ResourceQOS())))
    only_second = dict(leaves(laid_over(second, ResourceQOS())))
    later = set(written(second))
    assert result == {path: (only_second if path in later else only_first)[path] for path in result}


@given(QOS, st.randoms(use_true_random=False))
def test_letter_case_of_keys_does_not_matter(document, random):
    def shuffled(value):
        if not isinstance(value, dict):
            return value
        return {"".join(random.choice((c.lower(), c.upper())) for c in k): shuffled(v) for k, v in value.items()}

    assert laid_over(shuffled(document), ResourceQOS()) == laid_over(document, ResourceQOS())
