"""Images from a ddgan-server: denoising diffusion GANs over gRPC.

    import ddgan

    with ddgan.Client('localhost:50051') as client:
      images = client.generate(count=16, seed=7)
    images[0].image  # PIL; also .array, .png, .seed, .index, .version, .digest

`Client` waits for each call, `AsyncClient` is for asyncio. What cannot work is
refused before it is sent, by a ValueError or TypeError; a call that fails is an
`Error` with gRPC's code.
"""

import importlib.metadata

from ddgan._arguments import GuideFit
from ddgan._arguments import OutputType
from ddgan._arguments import RequestClass
from ddgan._async_calls import AsyncEventStream
from ddgan._async_client import AsyncClient
from ddgan._calls import EventStream
from ddgan._client import Client
from ddgan._connection import Tls
from ddgan._errors import Error
from ddgan._events import Accepted
from ddgan._events import StreamEvent
from ddgan._events import Summary
from ddgan._guide import GuidePicture
from ddgan._pictures import Generation
from ddgan._pictures import Image
from ddgan._pictures import Picture
from ddgan._pictures import Preview
from ddgan._pictures import Shape
from ddgan._pictures import Timings
from ddgan._progress import Progress
from ddgan._retry import RetryPolicy
from ddgan._versions import HealthStatus
from ddgan._versions import Model
from ddgan._versions import ModelEvent
from ddgan._versions import ModelList
from ddgan._versions import ModelRemoved
from ddgan._versions import ModelVersion
from ddgan._versions import VersionState

__version__ = importlib.metadata.version('ddgan-client')

__all__ = [
    'Accepted', 'AsyncClient', 'AsyncEventStream', 'Client', 'Error',
    'EventStream', 'Generation', 'GuideFit', 'GuidePicture', 'HealthStatus',
    'Image', 'Model', 'ModelEvent', 'ModelList', 'ModelRemoved', 'ModelVersion',
    'OutputType', 'Picture', 'Preview', 'Progress', 'RequestClass',
    'RetryPolicy', 'Shape', 'StreamEvent', 'Summary', 'Timings', 'Tls',
    'VersionState',
]
