"""CLAIM's items, with what a run knows about each.

Mongan, Moy and Kahn, Radiology: Artificial Intelligence 2020, whose 42 items are numbered here.
https://doi.org/10.1148/ryai.2020200029
"""

from __future__ import annotations

from collections.abc import Mapping

from dvcl.report.tables import TextTable

BY_YOU = "to be filled in by you"

TOPICS = {
    1: "Title names the kind of AI",
    2: "Structured abstract",
    3: "Background, intended use",
    4: "Objectives, hypotheses",
    5: "Prospective or retrospective",
    6: "Goal of the study",
    7: "Sources of the data",
    8: "Eligibility of cases",
    9: "Preprocessing",
    10: "Subsets of the data",
    11: "Definitions of data elements",
    12: "De-identification",
    13: "Missing data",
    14: "Reference standard",
    15: "Why this reference standard",
    16: "Who annotated, qualifications",
    17: "Tools of annotation",
    18: "Variability of annotators",
    19: "Sample size and its reason",
    20: "Assignment to partitions",
    21: "Level of disjoint partitions",
    22: "The model",
    23: "Software and versions",
    24: "Initial parameters",
    25: "Training",
    26: "Choice of the final model",
    27: "Ensembles",
    28: "Metrics",
    29: "Statistical uncertainty",
    30: "Robustness, sensitivity",
    31: "Explainability",
    32: "External data",
    33: "Flow of cases",
    34: "Demographics of each partition",
    35: "Performance on all partitions",
    36: "Estimates and their precision",
    37: "Analysis of failures",
    38: "Limitations",
    39: "Implications for practice",
    40: "Registration",
    41: "Protocol, data, code",
    42: "Funding",
}


def claim_table(known: Mapping[int, str]) -> TextTable:
    """All items; what the run does not know is left to the author.

    Args:
        known: What the run says, by the item's number.
    """
    rows = tuple(
        (str(number), topic, known.get(number, BY_YOU)) for number, topic in TOPICS.items()
    )
    return TextTable(
        ("Item", "Topic", "From this run"),
        rows,
        "Items as numbered by Mongan, Moy and Kahn (CLAIM, 2020), topics in few words: read the "
        "original (doi.org/10.1148/ryai.2020200029) and its 2024 update.",
        names=3,
    )
