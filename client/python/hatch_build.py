"""Compiles the project's .proto files into the package while it is built.

The package carries their descriptors rather than generated Python: generated
code is bound to the protobuf version that made it, and a wheel that is built
today would refuse the one in its user's environment. ddgan/_protocol.py makes
the message classes from the descriptors.

The .proto files are those of the repository, or in a source distribution the
copies that it carries.
"""

import pathlib
import subprocess
import sys
import tempfile
from typing import Any, Dict

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROTOS = (
    'ddgan/v1/image_generation.proto',
    'ddgan/v1/model.proto',
    'third_party/grpc/health/v1/health.proto',
)
DESCRIPTORS = 'ddgan/protocol.binpb'


class ProtocolBuildHook(BuildHookInterface):

  def initialize(self, version: str, build_data: Dict[str, Any]) -> None:
    root = pathlib.Path(self.root)
    protos = root / 'proto'
    if not protos.is_dir():
      protos = root.parents[1] / 'proto'
    if not (protos / PROTOS[0]).is_file():
      raise FileNotFoundError(
          f'{protos / PROTOS[0]}: the package is built in a clone of the '
          'project, or from its source distribution')
    if self.target_name == 'sdist':
      for name in PROTOS:
        build_data['force_include'][str(protos / name)] = f'proto/{name}'
      return
    if version == 'editable':
      # Imported from the source folder, so the descriptors have to be there.
      compile_protos(protos, root / DESCRIPTORS)
      return
    self._folder = tempfile.TemporaryDirectory(prefix='ddgan-protocol-')
    descriptors = pathlib.Path(self._folder.name) / 'protocol.binpb'
    compile_protos(protos, descriptors)
    build_data['force_include'][str(descriptors)] = DESCRIPTORS

  def finalize(self, version: str, build_data: Dict[str, Any],
               artifact_path: str) -> None:
    if hasattr(self, '_folder'):
      self._folder.cleanup()


def compile_protos(protos: pathlib.Path, descriptors: pathlib.Path) -> None:
  """Writes one FileDescriptorSet of all of them, with what they import."""
  subprocess.run(
      [sys.executable, '-m', 'grpc_tools.protoc', f'--proto_path={protos}',
       f'--proto_path={protos}/third_party', '--include_imports',
       f'--descriptor_set_out={descriptors}',
       *[str(protos / name) for name in PROTOS]],
      check=True)
