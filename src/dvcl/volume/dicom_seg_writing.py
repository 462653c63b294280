"""Masks as DICOM segmentations through highdicom (extra ``formats``), for the PACS."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import dvcl
from dvcl.errors import InputError
from dvcl.volume.dicom_source import LONGEST, MAKER, made_by, read_source
from dvcl.volume.grid import Volume
from dvcl.volume.label_tables import category
from dvcl.volume.names import import_extra, on_one_line
from dvcl.volume.segment import Code, Segment

NETWORK = Code("123110", "Artificial Intelligence")  # of DICOM's own codes


def write_segmentation(
    path: Path, mask: Volume, segments: Sequence[Segment], scan: Path, weights: str
) -> None:
    """Write one BINARY segmentation, the type that viewers read; without slices of air.

    Args:
        path: The file.
        mask: On the voxels of ``scan``.
        segments: The meaning of its integers; their order gives the numbers of the segments.
        scan: Folder of the series.
        weights: Their hash.

    Raises:
        InputError: When highdicom is not installed; as `read_source`; or when a header holds what
            DICOM does not allow.
    """
    hd = import_extra("highdicom", "highdicom", path)
    source, by = read_source(scan), made_by(weights)
    numbers = np.zeros(mask.shape, np.uint16)
    for number, segment in enumerate(segments, start=1):
        numbers[mask.array == segment.value] = number
    try:
        with warnings.catch_warnings():  # of names and of masks without an organ
            warnings.simplefilter("ignore")
            file = hd.seg.Segmentation(
                source.headers, numbers, "BINARY", _descriptions(hd, segments, weights),
                series_instance_uid=hd.UID(), series_number=source.series_number,
                sop_instance_uid=hd.UID(), instance_number=1, manufacturer=by["Manufacturer"],
                manufacturer_model_name=by["ManufacturerModelName"],
                software_versions=by["SoftwareVersions"],
                device_serial_number=by["DeviceSerialNumber"],
                series_description=f"Organs by {MAKER} (research)",
                content_creator_name=f"{MAKER}^", specific_character_set="ISO_IR 192",
            )  # fmt: skip
            file.save_as(path, enforce_file_format=True)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise InputError(
            f"{scan}: its headers hold what no DICOM mask can take over ({on_one_line(error)}). "
            "Write NIfTI or seg.nrrd with --format, or export the series again."
        ) from error


def _descriptions(hd: Any, segments: Sequence[Segment], weights: str) -> list[Any]:
    def concept(code: Code, scheme: str = "SCT") -> Any:
        return hd.sr.CodedConcept(code.value, scheme, code.meaning)

    algorithm = hd.AlgorithmIdentificationSequence(
        MAKER, concept(NETWORK, "DCM"), dvcl.__version__, parameters={"weights": weights}
    )
    described = []
    for number, segment in enumerate(segments, start=1):
        one = hd.seg.SegmentDescription(
            number, segment.name[:LONGEST], concept(category(segment)), concept(segment.kind),
            "AUTOMATIC", algorithm, display_color=hd.color.CIELabColor.from_rgb(*segment.rgb),
        )  # fmt: skip
        if segment.side:
            kind = one.SegmentedPropertyTypeCodeSequence[0]
            kind.SegmentedPropertyTypeModifierCodeSequence = [concept(segment.side)]
        described.append(one)
    return described
