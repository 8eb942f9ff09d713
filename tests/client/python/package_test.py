"""The package as it is built and installed, and its types.

Run by CTest, which has install_package.py build it:
  FOLDER/environment/bin/python package_test.py --built=FOLDER \
      --repository=REPOSITORY
"""

import argparse
import email
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile

import ddgan
from ddgan import _protocol

# What a program that is checked strictly may rely on.
TYPED_PROGRAM = '''\
from typing import List

import ddgan
import numpy as np
import numpy.typing as npt
import PIL.Image


def sync() -> None:
  with ddgan.Client('localhost:50051', tls=ddgan.Tls(ca=b'')) as client:
    pil: List[PIL.Image.Image] = client.generate(4, seed=7).images
    floats: npt.NDArray[np.float32] = client.generate(output_type='np').images
    files: List[bytes] = client.generate(output_type='png').images
    image: ddgan.Image = client.generate(guide=pil[0], guide_steps=2)[0]
    pixels: npt.NDArray[np.uint8] = image.array
    for event in client.stream(4, previews=True):
      if isinstance(event, ddgan.Preview):
        left: int = event.steps_left
    version: ddgan.ModelVersion = client.models.pin('mnist', 12060)
    serving: bool = client.health() == ddgan.HealthStatus.SERVING


async def asynchronous() -> None:
  async with ddgan.AsyncClient() as client:
    images = await client.generate(guide='a.png', guide_steps=1)
    image: ddgan.Image = images[0]
    async for event in client.stream(4):
      if isinstance(event, ddgan.Image):
        png: bytes = event.png
    async with client.models.watch(timeout=5) as changes:
      async for change in changes:
        name: str = change.name
'''
MISTAKES = {
    'client.generate(count="4")': 'arg-type|call-overload',
    'client.generate(output_type="tensor")': 'call-overload',
    'client.generate(4, 7)': 'call-overload',
    'x: int = client.generate().images': 'assignment',
    'client.models.pin("mnist", "12060")': 'arg-type',
    'client.stream(guide_fit="crop")': 'arg-type',
}

options = None  # Set by main().


class PackageTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    cls.wheel, = (options.built / 'wheels').glob('*.whl')
    cls.wheel_of_sdist, = (options.built / 'sdist/wheels').glob('*.whl')
    cls.sdist, = (options.built / 'sdist').glob('*.tar.gz')

  def test_the_package_under_test_is_the_wheel(self):
    self.assertTrue(pathlib.Path(ddgan.__file__).is_relative_to(
        options.built / 'environment'), ddgan.__file__)

  def test_the_wheel_is_pure_and_says_what_it_needs(self):
    self.assertRegex(self.wheel.name, r'^ddgan_client-.*-py3-none-any\.whl$')
    with zipfile.ZipFile(self.wheel) as wheel:
      name, = (name for name in wheel.namelist() if name.endswith('/METADATA'))
      metadata = email.message_from_bytes(wheel.read(name))
    self.assertEqual(metadata['Name'], 'ddgan-client')
    self.assertEqual(metadata['Requires-Python'], '>=3.9')
    needed = {re.match('[A-Za-z]+', line)[0].lower()
              for line in metadata.get_all('Requires-Dist')
              if 'extra ==' not in line}
    self.assertEqual(needed, {'grpcio', 'numpy', 'pillow', 'protobuf'})
    self.assertEqual(metadata.get_all('Provides-Extra'), ['progress'])
    self.assertEqual(metadata['Version'], ddgan.__version__)
    self.assertIn('ddgan.Client(', metadata.get_payload())

  def test_its_version_is_the_projects(self):
    text = (options.repository / 'CMakeLists.txt').read_text()
    self.assertIn(f'VERSION {ddgan.__version__} ', text)

  def test_the_wheel_holds_the_package_and_nothing_else(self):
    source = options.repository / 'client/python/ddgan'
    wanted = {f'ddgan/{path.name}' for path in source.glob('*.py')}
    wanted |= {'ddgan/py.typed', 'ddgan/protocol.binpb'}
    with zipfile.ZipFile(self.wheel) as wheel:
      self.assertEqual({name for name in wheel.namelist()
                        if '.dist-info/' not in name}, wanted)

  def test_a_source_distribution_carries_the_protos_and_builds_the_same(self):
    with tarfile.open(self.sdist) as sdist:
      names = {name.split('/', 1)[1] for name in sdist.getnames()}
    self.assertLessEqual(
        {'proto/ddgan/v1/image_generation.proto', 'proto/ddgan/v1/model.proto',
         'proto/third_party/grpc/health/v1/health.proto', 'hatch_build.py',
         'pyproject.toml', 'README.md', 'ddgan/py.typed'}, names)
    with zipfile.ZipFile(self.wheel) as one, \
         zipfile.ZipFile(self.wheel_of_sdist) as other:
      self.assertEqual(one.namelist(), other.namelist())
      for name in one.namelist():
        self.assertEqual(one.read(name), other.read(name), name)

  def test_building_leaves_nothing_in_the_source_folder(self):
    folder = options.repository / 'client/python'
    self.assertEqual({path.name for path in folder.iterdir()} - {'images'},
                     {'README.md', 'ddgan', 'hatch_build.py', 'pyproject.toml'})

  def test_other_copies_of_the_messages_may_be_in_the_program(self):
    # As of a program that has generated modules of its own.
    from grpc_health.v1 import health_pb2
    self.assertIsNot(health_pb2.HealthCheckRequest,
                     _protocol.HEALTH_CHECK.request)

  def test_a_client_holds_no_name_that_is_not_meant(self):
    with ddgan.Client('localhost:1') as client:
      self.assertEqual(
          {name for name in dir(client) if not name.startswith('_')},
          {'address', 'close', 'generate', 'health', 'models', 'stream'})


class TypesTest(unittest.TestCase):

  def mypy(self, *arguments):
    with tempfile.TemporaryDirectory() as cache:
      checked = subprocess.run(
          [sys.executable, '-m', 'mypy', '--strict', f'--cache-dir={cache}',
           '--python-version=3.9', '--config-file=', *map(str, arguments)],
          cwd='/', capture_output=True, text=True)
    return checked.returncode, checked.stdout + checked.stderr

  def test_the_package_passes_strictly(self):
    code, output = self.mypy('--package', 'ddgan')
    self.assertEqual(code, 0, output)

  def test_a_program_that_uses_it_passes_and_mistakes_do_not(self):
    with tempfile.TemporaryDirectory() as folder:
      program = pathlib.Path(folder, 'program.py')
      program.write_text(TYPED_PROGRAM)
      code, output = self.mypy(program)
      self.assertEqual(code, 0, output)
      program.write_text('import ddgan\n\nclient = ddgan.Client()\n'
                         + '\n'.join(MISTAKES) + '\n')
      _, output = self.mypy(program)
      for line, (mistake, kind) in enumerate(MISTAKES.items(), start=4):
        self.assertRegex(output, rf':{line}: error: .*\[({kind})\]', mistake)


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--built', required=True, type=pathlib.Path)
  parser.add_argument('--repository', required=True, type=pathlib.Path)
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
