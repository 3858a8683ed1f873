"""A photo model that is made in no time."""

from __future__ import annotations

import torch

from caecodec.models.networks.photo import PhotoConfig, PhotoModel

SMALL = PhotoConfig(
    n=16, z=8, ga_width=8, ga_depth=1, gs_width=8, gs_depth=1, hyper_width=8, context_width=8, context_depth=1
)


def trained(config: PhotoConfig) -> PhotoModel:
    """A model none of whose weights is zero."""
    torch.manual_seed(3)
    model = PhotoModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model
