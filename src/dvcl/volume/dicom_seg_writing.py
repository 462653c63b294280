"""Masks as DICOM segmentations through highdicom (extra ``formats``), for the PACS."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import dvcl
from dvcl.volume.dicom_source import MAKER, made_by, read_source
from dvcl.volume.grid import Volume
from dvcl.volume.label_tables import category
from dvcl.volume.names import import_extra
from dvcl.volume.segment import Code, Segment


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
        InputError: When highdicom is not installed, or as `read_source`.
    """
    seg = import_extra("highdicom.seg", "highdicom", path)
    uid = import_extra("highdicom", "highdicom", path).UID
    source, by = read_source(scan), made_by(weights)
    numbers = np.zeros(mask.shape, np.uint16)
    for number, segment in enumerate(segments, start=1):
        numbers[mask.array == segment.value] = number
    with warnings.catch_warnings():  # of names and of masks without an organ
        warnings.simplefilter("ignore")
        file = seg.Segmentation(
            source.headers, numbers, "BINARY", _descriptions(segments, weights),
            series_instance_uid=uid(), series_number=source.series_number,
            sop_instance_uid=uid(), instance_number=1,
            manufacturer=by["Manufacturer"], manufacturer_model_name=by["ManufacturerModelName"],
            software_versions=by["SoftwareVersions"],
            device_serial_number=by["DeviceSerialNumber"],
            series_description=f"Organs by {MAKER} (research)", content_creator_name=f"{MAKER}^",
            specific_character_set="ISO_IR 192",
        )  # fmt: skip
    file.save_as(path, enforce_file_format=True)


def _descriptions(segments: Sequence[Segment], weights: str) -> list[Any]:
    hd = import_extra("highdicom", "highdicom", Path(MAKER))
    codes = import_extra("pydicom.sr.codedict", "pydicom", Path(MAKER)).codes
    algorithm = hd.AlgorithmIdentificationSequence(
        MAKER, codes.DCM.ArtificialIntelligence, dvcl.__version__, parameters={"weights": weights}
    )
    described = []
    for number, segment in enumerate(segments, start=1):
        one = hd.seg.SegmentDescription(
            number, segment.name[:64], _concept(category(segment)), _concept(segment.kind),
            "AUTOMATIC", algorithm, display_color=hd.color.CIELabColor.from_rgb(*segment.rgb),
        )  # fmt: skip
        if segment.side:
            kind = one.SegmentedPropertyTypeCodeSequence[0]
            kind.SegmentedPropertyTypeModifierCodeSequence = [_concept(segment.side)]
        described.append(one)
    return described


def _concept(code: Code) -> Any:
    hd = import_extra("highdicom", "highdicom", Path(MAKER))
    return hd.sr.CodedConcept(code.value, "SCT", code.meaning)
