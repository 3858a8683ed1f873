"""Tables of unpooling places, measured on places as the encoder chooses them.

`python -m caecodec.models.export.places MODEL -o FOLDER --data PATH` takes an exported model of the kind `mnist`, says
what squared errors are worth when places are chosen (`search.place_weight`), and lets choice and tables settle in a few
rounds on pictures of the training split. Nothing of the network changes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from caecodec.codecs.autoencoder import AutoencoderCodec
from caecodec.entropy.fixed_point import SCALES
from caecodec.files.writing import make_folder, write_atomically
from caecodec.latents.autoencoder import PLACES
from caecodec.models.data import datasets
from caecodec.models.export.autoencoder import PLACE_TABLES, cluster
from caecodec.models.export.integers import Tensors, integer_table
from caecodec.tune import QUALITIES
from caecodec.zoo import find
from caecodec.zoo.file import Model
from caecodec.zoo.identity import model_id

ROUNDS = 4
SEED = 1


def with_shares(tensors: Tensors, shares: NDArray[np.float64]) -> Tensors:
    """The tensors with tables of places made of how often each cell takes each of its places, (K, 4)."""
    tails = np.asarray(tensors["table.tail"])
    first = int(np.asarray(tensors["place.table"]).min())  # those of y come before
    places, chosen = cluster(shares / shares.sum(1, keepdims=True), min(PLACE_TABLES, SCALES - first))
    added = [integer_table(np.concatenate(([0.0], share, [0.0]))) for share in places]
    added += [integer_table(np.ones(2))] * (SCALES - first - len(added))
    kept = np.asarray(tensors["table.frequencies"])[: int((2 * tails[:first].astype(np.int64) + 2).sum())]
    of_places = [PLACES // 2] * len(places) + [0] * (SCALES - first - len(places))
    return tensors | {
        "table.frequencies": np.concatenate((kept, *added)),
        "table.tail": np.append(tails[:first], of_places).astype(np.int32),
        "place.table": (first + chosen).astype(np.uint8),
    }


def settled(model: Model, pixels: NDArray[np.uint8], lowest: float, highest: float, quality: int) -> Tensors:
    """The tensors with tables that places chosen at a quality have, and what an error is worth from 1 to 100.

    lowest, highest: bits that a squared error of 1, of samples in 0..1, is worth at qualities 1 and 100.
    """
    weight = np.geomspace(lowest, highest, QUALITIES).astype(np.float32)
    tensors: Tensors = dict(model.tensors) | {"search.place_weight": weight}
    for _ in range(ROUNDS):
        codec = AutoencoderCodec(replace(model, tensors=tensors))
        latents = codec.chosen(pixels, quality)
        places = latents[:, -codec.engine.places :]
        shares = np.stack([(places == place).mean(0) for place in range(PLACES)], axis=1) + 1e-4
        tensors = with_shares(tensors, shares)
    return tensors


@click.command()
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the new file.")
@click.option("--data", "path", type=click.Path(path_type=Path, exists=True), required=True, help="MNIST.")
@click.option("--pictures", "count", default=2000, help="Of the training split.")
@click.option("--lowest", default=10.0, help="Bits that a squared error of 1 is worth at quality 1.")
@click.option("--highest", default=13000.0, help="The same at quality 100.")
@click.option("--quality", default=1, help="At which tables are measured.")
def main(name: str, output: Path, path: Path, count: int, lowest: float, highest: float, quality: int) -> None:
    """Measure the tables of the places of the installed model or file NAME anew."""
    model = find.load(name)
    train = datasets.load("mnist", path, "train").pictures.numpy()
    some = train[np.random.default_rng(SEED).permutation(len(train))[:count]]
    tensors = settled(model, some, lowest, highest, quality)
    info = model.info
    metadata = {
        "format": "caecodec-model 2",
        "family": info.family,
        "name": info.name,
        "description": info.description,
        "id": model_id(tensors).hex(),
        "config": json.dumps(info.config),
        "training": json.dumps(info.training),
        "summary": json.dumps(dict(info.summary) | {"tables": f"places as chosen on {len(some)} pictures"}),
    }
    make_folder(output)
    target = output / f"{info.name}.safetensors"
    data = save({k: np.ascontiguousarray(v) for k, v in tensors.items()}, metadata=metadata)
    write_atomically(str(target), data, overwrite=True)
    click.echo(f"{target}: model {metadata['id']}")


if __name__ == "__main__":
    main()
