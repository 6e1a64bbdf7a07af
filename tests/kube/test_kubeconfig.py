"""A kubeconfig that starts no program, and those that may."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.kube.kubeconfig import may_start_programs

NOTHING = "apiVersion: v1\nkind: Config\n"


@pytest.mark.parametrize(
    ("text", "may"),
    [
        (NOTHING, False),
        ("users: [{name: a, user: {token: secret}}]", False),
        ("users: [{name: a, user: {client-certificate-data: YQ==, client-key-data: YQ==}}, {name: b}]", False),
        ("users: [{name: a, user: {token: secret}}, {name: b, user: {exec: {command: login}}}]", True),
        ("users: [{name: a, user: {auth-provider: {name: oidc}}}]", True),
        ("users: {a: {token: secret}}", True),
        ("users: [a]", True),
        ("users: [{name: a, user: [token]}]", True),
        ("users: null", True),
        ("[]", True),
        ("a: b: c", True),
        ("", True),
    ],
)
def test_programs_are_found_and_what_is_not_understood_counts_as_one(tmp_path: Path, text: str, may: bool) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    assert may_start_programs(path) is may


def test_a_file_that_cannot_be_read_counts_as_one(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00\x81")
    assert may_start_programs(tmp_path / "none") is True
    assert may_start_programs(tmp_path / "bytes") is True
