"""What a stream brings, beside images and previews."""

from __future__ import annotations

import dataclasses
from typing import Optional, Union

from ddgan._pictures import Image
from ddgan._pictures import Preview
from ddgan._pictures import Shape
from ddgan._pictures import Timings


@dataclasses.dataclass(frozen=True)
class Accepted:
  """A call of at most 64 images has joined the server's queue."""

  # As of an Image: what will make the images, and with which seed.
  model: str
  version: int
  digest: str
  seed: int
  # Of every image.
  shape: Shape
  # Denoising steps of the model's diffusion process (T), 1 to 1000.
  num_timesteps: int
  # Evaluations of the generator that an image takes without a guide, 1 to 1999.
  evaluations: int
  # Images accepted before these that have not started yet.
  images_ahead: int = 0
  # Seconds until the first step is expected to begin; None while the server has
  # measured nothing.
  expected_start: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Summary:
  """All images of one call have come."""

  images: int
  previews_sent: int
  # Previews that a newer one of their image, or the image itself, overtook: the
  # caller read too slowly, or encoding took longer than a step.
  previews_dropped: int
  timings: Timings


StreamEvent = Union[Accepted, Preview, Image, Summary]
