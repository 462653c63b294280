"""Semi-supervised 3-D multi-organ segmentation with distance-aware contrastive learning."""

__version__ = "0.1.0"
