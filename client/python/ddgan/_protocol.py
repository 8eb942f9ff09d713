"""The messages and methods of proto/, made from what the build compiled.

They live in a pool of their own. A program that has its own copies of these
messages, such as generated modules or grpc_health, can use them beside this
package, and whatever version of protobuf runs it is the right one.
"""

import importlib.resources
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2
from google.protobuf import descriptor_pool
from google.protobuf import message_factory


class Method(NamedTuple):
  """How to call one method of a service."""

  path: str  # '/ddgan.v1.ImageGeneration/Generate'
  request: Any  # The class of its request message,
  response: Any  # and that of each message that answers it.


def _load_pool() -> Any:
  pool: Any = descriptor_pool.DescriptorPool()
  compiled = importlib.resources.files('ddgan').joinpath('protocol.binpb')
  for file in descriptor_pb2.FileDescriptorSet.FromString(
      compiled.read_bytes()).file:
    pool.AddSerializedFile(file.SerializeToString())
  return pool


_POOL = _load_pool()


def _method(service: str, name: str) -> Method:
  described = _POOL.FindServiceByName(service).methods_by_name[name]
  return Method(f'/{service}/{name}',
                message_factory.GetMessageClass(described.input_type),
                message_factory.GetMessageClass(described.output_type))


def enum_number(enum: str, name: str) -> int:
  """The number of a value of one of ddgan.v1's enums."""
  described = _POOL.FindEnumTypeByName(f'ddgan.v1.{enum}')
  return int(described.values_by_name[name].number)


GENERATE = _method('ddgan.v1.ImageGeneration', 'Generate')
GENERATE_STREAM = _method('ddgan.v1.ImageGeneration', 'GenerateStream')
LIST_MODELS = _method('ddgan.v1.ModelService', 'ListModels')
GET_MODEL = _method('ddgan.v1.ModelService', 'GetModel')
PIN_VERSION = _method('ddgan.v1.ModelService', 'PinVersion')
UNPIN_VERSION = _method('ddgan.v1.ModelService', 'UnpinVersion')
ROLL_BACK = _method('ddgan.v1.ModelService', 'RollBack')
WATCH_MODELS = _method('ddgan.v1.ModelService', 'WatchModels')
HEALTH_CHECK = _method('grpc.health.v1.Health', 'Check')
