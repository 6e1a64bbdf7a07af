"""Blocks, files and commands are found in a page's text."""

from __future__ import annotations

import pytest

from tests.docs.shown import Command, blocks, commands, files

PAGE = """# A page

```yaml title="pod.yaml"
kind: Pod
```

```sh
koordnri explain -f pod.yaml \\
  --node node.yaml    # what it gets
koordnri node > node.yaml
```

```text
a table
```

```sh
koordnri diff --policy p.yaml    # exit code 1: a difference
```

Some words.

```text
not printed by the command above
```
"""


def test_a_yaml_block_with_a_title_is_a_file() -> None:
    assert files(PAGE) == {"pod.yaml": "kind: Pod\n"}


def test_lines_go_on_after_a_backslash_and_comments_are_left_out() -> None:
    assert [command.text for command in commands(PAGE)] == [
        "koordnri explain -f pod.yaml --node node.yaml",
        "koordnri node > node.yaml",
        "koordnri diff --policy p.yaml",
    ]


def test_a_text_block_is_printed_by_the_last_command_before_it_that_prints_on_the_screen() -> None:
    assert [command.prints for command in commands(PAGE)] == ["a table\n", None, None]


def test_the_exit_code_is_0_unless_a_comment_says_otherwise() -> None:
    assert [command.code for command in commands(PAGE)] == [0, 0, 1]


def test_a_block_below_an_item_of_a_list_has_its_indent_taken_away() -> None:
    (block,) = blocks("- item\n\n    ```sh\n    make demo\n    ```\n")
    assert block.body == "make demo\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("koordnri status --brief", ["status", "--brief"]),
        ("kubectl koordnri --node NODE status", ["status"]),
        ("kubectl koordnri explain shop/db", ["explain", "shop/db"]),
        ("kubectl koordnri --all-nodes status", ["status"]),
        ("kubectl -n k exec -i POD -- koordnri diff --live", ["diff", "--live"]),
        ('kubectl -n k exec "$pod" -c koordnri -- koordnri release --all', ["release", "--all"]),
        ("kubectl get nodes", []),
    ],
)
def test_koordnris_words_are_found_wherever_it_runs(text: str, words: list[str]) -> None:
    assert Command(text, 0, None, 1).koordnris == words
