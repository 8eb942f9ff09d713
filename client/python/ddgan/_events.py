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
  """A call of at most 64 images has joined the server's queue.

  Attributes:
    model, version, digest, seed, shape: As of each image that is to come.
    num_timesteps: Denoising steps of the model's diffusion process (T), 1 to
      1000.
    evaluations: Evaluations of the generator that an image takes without a
      guide, 1 to 1999.
    images_ahead: Images accepted before these that have not started yet.
    expected_start: Seconds until the first step is expected to begin; None
      while the server has measured nothing.
  """

  model: str
  version: int
  digest: str
  seed: int
  shape: Shape
  num_timesteps: int
  evaluations: int
  images_ahead: int = 0
  expected_start: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Summary:
  """All images of one call have come.

  Attributes:
    images: How many.
    previews_sent: And previews.
    previews_dropped: Previews that a newer one of their image, or the image
      itself, overtook: the caller read too slowly, or encoding took longer than
      a step.
    timings: Where the time went in the server.
  """

  images: int
  previews_sent: int
  previews_dropped: int
  timings: Timings


StreamEvent = Union[Accepted, Preview, Image, Summary]
