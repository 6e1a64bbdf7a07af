"""The laboratory's apt entry is the machine's own entry for Debian's main archive, with the suite exchanged."""

from pathlib import Path

import pytest

from tools.lab import apt

MAIN = apt.Source("http://mirror.test/debian", ("bookworm", "bookworm-updates"), ("main",), "/k/debian-archive.gpg")
SECURITY = apt.Source("http://mirror.test/debian-security", ("bookworm-security",), ("main",), "/k/debian-archive.gpg")
THIRD_PARTY = apt.Source("https://apt.vendor.test", ("bookworm",), ("main",), "/k/vendor.gpg")
DOCKER = apt.Source("https://download.vendor.test/linux/debian", ("bookworm",), ("stable",), "/k/docker.asc")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://m.test/debian bookworm main", apt.Source("http://m.test/debian", ("bookworm",), ("main",))),
        (
            "deb [arch=amd64 signed-by=/k/a.gpg trusted=yes] http://m.test/debian bookworm main contrib  # ours",
            apt.Source("http://m.test/debian", ("bookworm",), ("main", "contrib"), "/k/a.gpg", "yes"),
        ),
        ("deb-src http://m.test/debian bookworm main", None),
        ("# deb http://m.test/debian bookworm main", None),
        ("", None),
    ],
)
def test_one_line_entries(line: str, expected: apt.Source | None) -> None:
    assert list(apt.parse_one_line(line)) == ([expected] if expected else [])


def test_deb822_stanzas_with_comments_several_uris_and_an_inline_key() -> None:
    text = (
        "Types: deb deb-src\n# a comment\nURIs: http://a.test/debian http://b.test/debian\n"
        "Suites: bookworm bookworm-updates\nComponents: main\nSigned-By:\n -----BEGIN\n .\n xyz\n -----END\n"
        "\nEnabled: no\nTypes: deb\nURIs: http://off.test/debian\nSuites: bookworm\nComponents: main\n"
        "\nTypes: deb-src\nURIs: http://src.test/debian\nSuites: bookworm\nComponents: main\n"
    )
    found = list(apt.parse_deb822(text))
    assert [source.uri for source in found] == ["http://a.test/debian", "http://b.test/debian"]
    assert found[0].suites == ("bookworm", "bookworm-updates")
    assert "Signed-By: \n -----BEGIN\n .\n xyz\n -----END\n" in found[0].to_deb822()


@pytest.mark.parametrize(
    "sources",
    [[MAIN], [SECURITY, MAIN], [THIRD_PARTY, MAIN], [DOCKER, THIRD_PARTY, SECURITY, MAIN]],
)
def test_the_main_archive_is_chosen_whatever_stands_before_it(sources: list[apt.Source]) -> None:
    derived = apt.derive(sources, "bookworm", "trixie")
    assert derived == apt.Source("http://mirror.test/debian", ("trixie",), ("main",), "/k/debian-archive.gpg")


@pytest.mark.parametrize(("kind", "target"), [("deb", "Packages"), ("deb-src", "Sources")])
def test_an_entry_can_be_turned_into_one_for_source_packages(kind: str, target: str) -> None:
    lines = MAIN.to_deb822(kind).splitlines()
    assert f"Types: {kind}" in lines
    assert f"Targets: {target}" in lines
    assert "URIs: http://mirror.test/debian" in lines


@pytest.mark.parametrize("sources", [[], [SECURITY], [DOCKER]])
def test_no_main_archive_is_an_error_that_says_what_to_add(sources: list[apt.Source]) -> None:
    with pytest.raises(apt.AptError, match="add Debian's archive"):
        apt.derive(sources, "bookworm", "sid")


def test_both_formats_and_disabled_files_of_an_apt_directory(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://list.test/debian bookworm main\n")
    (parts / "a.sources").write_text("Types: deb\nURIs: http://new.test/debian\nSuites: bookworm\nComponents: main\n")
    (parts / "b.list.save").write_text("deb http://saved.test/debian bookworm main\n")
    assert [source.uri for source in apt.machine_sources(tmp_path)] == [
        "http://list.test/debian",
        "http://new.test/debian",
    ]


def test_only_debian_is_accepted(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text('ID=debian\nVERSION_CODENAME="trixie"\n')
    assert apt.machine_suite(release) == "trixie"
    release.write_text("ID=fedora\n")
    with pytest.raises(apt.AptError, match="fedora"):
        apt.machine_suite(release)


@pytest.mark.parametrize(
    ("debian", "upstream"),
    [
        ("1.7.24~ds1-6+deb13u1", "1.7.24"),
        ("2.1.9+ds1-5", "2.1.9"),
        ("0.6.1-2", "0.6.1"),
        ("1:1.35.0-4+deb12u1+b1", "1.35.0"),
        ("6.12", "6.12"),
    ],
)
def test_upstream_part_of_a_debian_version(debian: str, upstream: str) -> None:
    assert apt.upstream(debian) == upstream
