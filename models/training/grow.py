"""Weights of a photo model as the beginning of a larger one that does what it did.

What is added starts as the identity: a new block adds nothing, and a new channel is read by nobody (Net2Net,
https://arxiv.org/abs/1511.05641, without its noise). So a size that costs hours to train starts from one that has been.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from caecodec.models.networks.photo import TABLES, PhotoConfig


def with_tunes(weights: Mapping[str, Tensor], config: PhotoConfig) -> Mapping[str, Tensor]:
    """Weights of a model with as many anchors -> with the tables of `config.tunes` tunes, the second as the first."""
    if "log_gain" not in weights or len(weights["log_gain"]) != config.anchors:
        return weights
    return {**weights, **{name: weights[name].repeat(config.tunes, 1) for name in TABLES if name in weights}}


def grown(weights: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """weights of a trained model, those of a new larger one -> what the new one starts from.

    Deeper g_a, g_s and context, and wider g_a and g_s. Raises ValueError where the new one is smaller in some way, or
    larger in another.
    """
    if "z_mean" in weights and "z_mean" not in fresh:
        raise ValueError("the checkpoint is of before z had a context: caecodec.models.training.context_z gives it one")
    if missing := weights.keys() - fresh.keys():
        raise ValueError(f"the recipe's model has no {min(missing)}")
    result = dict(fresh)
    for name, value in fresh.items():
        if name in weights:
            result[name] = _placed(name, weights[name], value)
        elif ".blocks." not in name and ".trunk." not in name:
            raise ValueError(f"the checkpoint has no {name}")
    return result


def _placed(name: str, old: Tensor, new: Tensor) -> Tensor:
    """`old` in the first channels of `new`; what old outputs read of new channels is zero."""
    if old.shape == new.shape:
        return old
    part = name.split(".")[0]
    if part not in ("g_a", "g_s", "modulation") or old.ndim != new.ndim:
        raise ValueError(f"{name} is {tuple(old.shape)} in the checkpoint and {tuple(new.shape)} in the recipe")
    if any(a > b for a, b in zip(old.shape, new.shape, strict=True)):
        raise ValueError(f"{name} is smaller in the recipe than in the checkpoint")
    # channels that depth-to-space will spread over 2x2 positions: each position's own grow
    cells = 4 if name.startswith("g_s.stem.") else 1
    old, target = (t.reshape(cells, -1, *t.shape[1:]) for t in (old, new.clone()))
    outputs, inputs = old.shape[1], old.shape[2:3]
    if name == "modulation":
        target = new.clone().fill_(1.0)
        target[:, : old.shape[2]] = old.flatten(0, 1)
        return target
    if old.ndim > 2 and "depthwise" not in name:
        target[:, :outputs, inputs[0] :] = 0
        target[:, :outputs, : inputs[0]] = old
    else:
        target[:, :outputs] = old
    return target.reshape(new.shape)
