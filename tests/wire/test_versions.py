"""Which NRI a runtime speaks, and what follows."""

from __future__ import annotations

from itertools import pairwise

import pytest

from koordnri.wire.versions import (
    NRI_BY_RUNTIME,
    OLDEST,
    SINCE,
    Feature,
    Version,
    has,
    nri_version,
    parse_version,
    sync_zombie,
    valid_event_mask,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v0.12.0", Version(0, 12, 0)),
        ("0.12.0", Version(0, 12, 0)),
        ("1.36", Version(1, 36, 0)),
        (" v1.7.24~ds1\n", Version(1, 7, 24)),
        ("v2.1.0+unknown", Version(2, 1, 0)),
        ("2.2.1.m", Version(2, 2, 1)),
        ("v2.4.0-beta.0", Version(2, 4, 0, final=False)),
        ("v0.12.1-0.20260601093000-abcdef012345", Version(0, 12, 1, final=False)),
        ("(devel)", None),
        ("0.0.0-unknown", None),
        ("v0.0.0", None),
        ("", None),
        ("unknown", None),
        ("v1", None),
        ("٣.٤.٥", None),
        ("9" * 5000 + ".1.1", None),
    ],
)
def test_versions_are_parsed(text, expected):
    assert parse_version(text) == expected


def test_a_pre_release_comes_before_its_release_and_after_the_one_before():
    assert Version(0, 12, 0) < Version(0, 12, 1, final=False) < Version(0, 12, 1)
    assert str(Version(0, 12, 1, final=False)) == "0.12.1-pre"
    assert str(Version(0, 12, 1)) == "0.12.1"


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("containerd", "v1.6.20~ds1", "0.2.0"),
        ("containerd", "v1.7.0", "0.3.0"),
        ("containerd", "v1.7.6", "0.3.0"),
        ("containerd", "v1.7.7", "0.4.0"),
        ("containerd", "v1.7.13", "0.4.0"),
        ("containerd", "v1.7.14", "0.6.0"),
        ("containerd", "v1.7.15", "0.6.0"),
        ("containerd", "v1.7.16", "0.6.1"),
        ("containerd", "1.7.24~ds1", "0.6.1"),
        ("containerd", "v1.7.25", "0.6.1"),
        ("containerd", "v1.7.26", "0.8.0"),
        ("containerd", "v1.7.27-0ubuntu1~24.04.1", "0.8.0"),
        ("containerd", "v1.7.99", "0.8.0"),
        ("v2", "v2.0.0", "0.8.0"),
        ("v2", "v2.0.5-rc.1", "0.8.0"),
        ("containerd", "v2.1.4", "0.8.0"),
        ("containerd", "v2.2.0", "0.10.0"),
        ("containerd", "v2.2.1", "0.11.0"),
        ("containerd", "v2.2.7+k3s1", "0.11.0"),
        ("containerd", "v2.3.4", "0.12.0"),
        ("containerd", "v2.4.0-beta.0", "0.12.3"),
        ("containerd", "v9.0.0", "0.12.3"),
        ("containerd", "", "0.2.0"),
        ("containerd", "(devel)", "0.2.0"),
        ("cri-o", "1.25.0", "0.2.0"),
        ("cri-o", "1.26.1", "0.2.0"),
        ("cri-o", "1.26.3", "0.3.0"),
        ("cri-o", "1.26.4", "0.3.1-pre"),
        ("cri-o", "1.27.0", "0.3.0"),
        ("cri-o", "1.27.1", "0.3.1-pre"),
        ("cri-o", "1.28.9", "0.3.1-pre"),
        ("cri-o", "1.29.1", "0.5.0"),
        ("cri-o", "1.29.2", "0.6.0"),
        ("cri-o", "1.30.4", "0.6.0"),
        ("cri-o", "1.31.0", "0.6.1"),
        ("cri-o", "1.32.1", "0.9.0"),
        ("cri-o", "1.33.0", "0.9.1-pre"),
        ("cri-o", "v1.34.2", "0.10.0"),
        ("cri-o", "1.35.0-dev", "0.11.0"),
        ("cri-o", "1.36.0", "0.11.0"),
        ("cri-o", "2.0.0", "0.11.0"),
        ("somethingelse", "v2.2.1", "0.2.0"),
        ("", "", "0.2.0"),
    ],
)
def test_nri_is_inferred_from_the_runtime(name, version, expected):
    assert str(nri_version(name, version)) == expected


@pytest.mark.parametrize(
    ("name", "version", "reported", "expected"),
    [
        ("containerd", "v2.3.0", "v0.12.2", "0.12.2"),
        ("containerd", "v1.7.25", "v0.13.0", "0.13.0"),
        ("anything", "", "0.12.0", "0.12.0"),
        ("containerd", "v2.3.0", "(devel)", "0.12.0"),
        ("containerd", "v2.4.0", "(devel)", "0.12.3"),
        ("somethingelse", "", "0.0.0-unknown", "0.12.0"),
        ("cri-o", "1.37.0", "(devel)", "0.12.0"),
    ],
)
def test_what_the_runtime_reports_wins_and_reporting_nothing_useful_still_means_012(name, version, reported, expected):
    assert str(nri_version(name, version, reported)) == expected


@pytest.mark.parametrize("name", sorted(NRI_BY_RUNTIME))
def test_rows_ascend(name):
    assert all(a[0] < b[0] for a, b in pairwise(NRI_BY_RUNTIME[name]))


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (OLDEST, 0x7FF),
        (Version(0, 6, 1), 0x7FF),
        (Version(0, 9, 0), 0x7FF),
        (Version(0, 9, 1, False), 0x1FFF),
        (Version(0, 10, 0, False), 0x1FFF),
        (Version(0, 10, 0), 0x3FFF),
        (Version(0, 12, 1), 0x3FFF),
        (Version(1, 0, 0), 0x3FFF),
    ],
)
def test_valid_event_mask(version, expected):
    assert valid_event_mask(version) == expected


def test_every_feature_has_a_version():
    assert set(SINCE) == set(Feature)


@pytest.mark.parametrize(
    ("feature", "last_without", "first_with"),
    [
        (Feature.REGISTRATION_DEADLOCK_FIXED, Version(0, 6, 0), Version(0, 6, 1)),
        (Feature.SPLIT_SYNC, Version(0, 6, 1), Version(0, 7, 0)),
        (Feature.POD_UPDATE, Version(0, 9, 0), Version(0, 9, 1, False)),
        (Feature.RDT, Version(0, 10, 0), Version(0, 11, 0)),
        (Feature.DEDICATED_RPCS, Version(0, 11, 0), Version(0, 12, 0)),
        (Feature.SAFE_UNSOLICITED_UPDATES, Version(0, 12, 1, False), Version(0, 12, 1)),
        (Feature.FAILURE_POLICY, Version(0, 12, 3), Version(0, 12, 4)),
        (Feature.CLOSED_IS_SKIPPED, Version(0, 12, 4), Version(0, 12, 5)),
    ],
)
def test_features_begin_with_their_version(feature, last_without, first_with):
    assert not has(last_without, feature)
    assert has(first_with, feature)


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("containerd", Version(0, 6, 1), True),
        ("containerd", Version(0, 7, 0), False),
        ("v2", Version(0, 8, 0), False),
        ("cri-o", Version(0, 6, 1), True),
        ("cri-o", Version(0, 11, 0), True),
        ("cri-o", Version(0, 12, 0), False),
        ("somethingelse", Version(0, 11, 0), True),
        ("somethingelse", Version(0, 12, 0), False),
    ],
)
def test_where_a_failed_synchronize_leaves_a_zombie(name, version, expected):
    assert sync_zombie(name, version) is expected
