"""Figures, numbers and one page of an inspection; opens offline."""

from __future__ import annotations

import math
from pathlib import Path

from dvcl.errors import counted
from dvcl.evaluation.embedding import perplexity
from dvcl.evaluation.summary import spread
from dvcl.files import write_json, write_text
from dvcl.inspection.findings import SCALE, Inspection, to_json, voxels_csv
from dvcl.report import html
from dvcl.report.distance_matrices import distance_matrices
from dvcl.report.feature_maps import feature_maps
from dvcl.report.figures import png_bytes, save_figure
from dvcl.report.reliability_bars import reliability_bars
from dvcl.report.tables import UNDEFINED, TextTable, percent


def write_inspection(folder: Path, found: Inspection) -> Path:
    """Write three figures as PNG and PDF, inspection.json, voxels.csv, and index.html."""
    sights = found.sights
    figures = {
        "reliability": reliability_bars(
            found.names[1:],
            {
                name: (
                    sight.reliability.share[1:], sight.reliability.right_share[1:], sight.dice
                )
                for name, sight in sights.items()
            },
        ),
        "features": feature_maps(
            found.names, found.classes,
            {name: sight.places for name, sight in sights.items()},
            {name: sight.reliable for name, sight in sights.items()},
        ),
        "distances": distance_matrices(
            found.names, {name: sight.distances for name, sight in sights.items()}
        ),
    }  # fmt: skip
    for name, figure in figures.items():
        save_figure(figure, folder / name)
    write_json(folder / "inspection.json", to_json(found))
    write_text(folder / "voxels.csv", voxels_csv(found))
    page = folder / "index.html"
    captions = _captions(found)
    sections = [html.table(_runs_table(found))]
    for name, title in (
        ("reliability", "Reliable voxels and Dice"),
        ("features", "Feature space"),
        ("distances", "Distances between and within classes"),
    ):
        sections += [html.heading(title), html.chart(png_bytes(figures[name]), captions[name])]
    sections += [
        html.heading("Settings"),
        *(html.settings(run.settings, f"Settings of {name}") for name, run in found.runs.items()),
        html.text("Research software: what networks believe is no diagnosis."),
    ]
    html.write_page(page, "What the networks believe", sections, _subtitle(found))
    return page


def _subtitle(found: Inspection) -> str:
    return (
        f"{counted(len(found.runs), 'run')}, {counted(len(found.cases), f'{found.role} case')}, "
        f"{found.per_class} voxels of every class"
    )


def _captions(found: Inspection) -> dict[str, str]:
    return {
        "reliability": (
            "Share of each organ's voxels whose pseudo-label the entropy calls reliable "
            f"(Eq. 1-3, alpha {found.alpha:g}, one threshold per case), of the network that makes "
            "pseudo-labels, or the first of two; dark, where that label is right. Mean Dice of "
            "the method's prediction over the cases that have the organ, on the prepared grid."
        ),
        "features": (
            f"t-SNE (perplexity {perplexity(len(found.classes)):.0f}, seed {found.seed}) of the "
            f"same voxels' normalised features, {found.per_class} of each class. A dot is "
            "reliable, a cross is not; colours and numbers are true classes. Sizes of clusters, "
            "distances between them and axes mean nothing."
        ),
        "distances": (
            "Off the diagonal the distance between the means of two classes; on it, framed, "
            "between the two farthest features of one class. The latter grows with the number of "
            f"voxels: {found.per_class} of every class. {SCALE}."
        ),
    }


def _runs_table(found: Inspection) -> TextTable:
    rows = []
    for name, sight in found.sights.items():
        distances, (right, reliable, every) = sight.distances, sight.reliability
        values = (distances.between, spread(distances.farthest.tolist()).mean, distances.within,
                  distances.between / distances.within)  # fmt: skip
        rows.append(
            (
                name,
                *(percent(part[1:].sum() / every[1:].sum()) for part in (reliable, right)),
                percent(spread(sight.dice.tolist()).mean),
                *(UNDEFINED if math.isnan(value) else f"{value:.3f}" for value in values),
            )
        )
    return TextTable(
        (
            "Run",
            "Reliable %",
            "and right %",
            "Dice %",
            "Centres",
            "Farthest",
            "Pairs",
            "Centres / pairs",
        ),
        tuple(rows),
        "Reliable, and right: shares of all organ voxels. Dice: mean over organs. Centres: mean "
        "distance between the centres of two classes. Farthest: mean over classes of the distance "
        "between their two farthest features, an extreme value. Pairs: mean distance between two "
        f"features of a class, which is sturdier. {SCALE}.",
    )
