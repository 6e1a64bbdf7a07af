"""How much of a pod's annotations and labels is kept in memory, whoever wrote them.

Kubernetes takes 256 KiB of annotations per pod, and more of labels. One character outside of Latin-1 makes Python keep the whole text
with four bytes per character: 1 MB per pod, where the daemon may have 128 Mi for all.
"""

from __future__ import annotations

from collections.abc import Mapping

MOST_CHARACTERS = 64 * 1024
"""of all values of a pod's annotations; and of all keys of its labels"""


def bounded_annotations(annotations: Mapping[str, str]) -> Mapping[str, str]:
    """The annotations themselves, unless they are too long in all: then the longest are empty. All keys stay, so that nothing that is
    there counts as absent.
    """
    if sum(map(len, annotations.values())) <= MOST_CHARACTERS:
        return annotations
    kept, left = dict.fromkeys(annotations, ""), MOST_CHARACTERS
    for text, key in sorted(((text, key) for key, text in annotations.items()), key=lambda pair: len(pair[0])):
        left -= len(text)
        if left < 0:
            break
        kept[key] = text
    return kept


def bounded_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    """The labels themselves, unless their keys are too long in all: then the longest are left out."""
    if sum(map(len, labels)) <= MOST_CHARACTERS:
        return labels
    kept, left = dict[str, str](), MOST_CHARACTERS
    for key in sorted(labels, key=len):
        left -= len(key)
        if left < 0:
            break
        kept[key] = labels[key]
    return kept
