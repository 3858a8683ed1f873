"""A small picture inside the file of a large one, for those who only show thumbnails: a .cae file of its own.

Without it a thumbnail needs the latents of every tile, some seconds of a 12-megapixel picture on a slow machine.
"""

from __future__ import annotations

from dataclasses import replace

from caecodec.codecs.codec import Codec
from caecodec.format import container
from caecodec.limits import UNLIMITED
from caecodec.pictures import thumbnail
from caecodec.pictures.picture import Picture
from caecodec.search import improve
from caecodec.search.effort import DEFAULT_EFFORT

SIDE = 256  # pixels at most: what file managers ask for
FROM = 1 << 22  # pixels of pictures that get one: to decode fewer at 1/8 or 1/16 is quick
_LONGEST = 1 << 20  # pixels a side: a panorama of more is a line when it is small
_QUALITY = 60
_SHARE = 0.01  # of the file, at most


def with_preview(codec: Codec, picture: Picture, data: bytes) -> bytes:
    """The file of a picture, with a preview where the picture is large and opaque and 1 % of its bytes is enough."""
    large = picture.width * picture.height >= FROM and max(picture.width, picture.height) <= _LONGEST
    if not large or picture.alpha is not None:
        return data
    small = thumbnail.shrunk(picture, SIDE)
    tiles = [improve.ready(codec, tile, DEFAULT_EFFORT) for tile in codec.analyse(small)]
    inner = codec.wrap(small, _QUALITY, [codec.code_tile(tile, _QUALITY)[0] for tile in tiles], {})
    if len(inner) > _SHARE * len(data):
        return data
    parsed = container.parse(data, UNLIMITED)
    return container.serialize(replace(parsed, sections={**parsed.sections, container.TAG_PREVIEW: inner}))
