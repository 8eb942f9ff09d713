"""The bytes that a server gives which has one version and one caller."""

import hashlib
import pathlib
import shutil
import tempfile

import grpc

from server_process import ServerProcess
from soak import calls

LIMIT_S = 120
# Even a quiet server drops a preview when the next one overtakes it; then it is
# asked for alone, so often at most.
TRIES = 50


class Quiet:
  """Asks a server process of its own for each version.

  `expected` holds the digests of all that was asked, as judgement.Bytes wants
  them; `guide_png` is the first version's first picture.
  """

  def __init__(self, binary, stubs, flags):
    self._binary = binary
    self._pb, self._images_grpc, _, _ = stubs
    self._flags = flags
    self.expected = {}
    self.guide_png = None

  def learn(self, folder):
    """All that a soak may ask of the version in ROOT/MODEL/VERSION."""
    self.expected.update(self._ask(folder))

  def differences(self, folder):
    """How much of that is different now."""
    return sum(self.expected[key] != digest
               for key, digest in self._ask(folder).items())

  def _ask(self, folder):
    version = int(folder.name)
    with tempfile.TemporaryDirectory(prefix='ddgan-quiet-') as root:
      shutil.copytree(folder, pathlib.Path(root, calls.MODEL, folder.name))
      with ServerProcess(self._binary, root, self._flags) as server, \
           grpc.insecure_channel(server.grpc_address) as channel:
        stub = self._images_grpc.ImageGenerationStub(channel)
        digests = {}
        for seed in range(calls.SEEDS):
          digests.update(self._images(stub, version, seed))
          digests.update(self._previews(stub, version, seed))
        return digests

  def _images(self, stub, version, seed):
    def ask(count, image_format, guide_png=None):
      reply = stub.Generate(
          calls.request(self._pb, seed, 0, count, image_format, guide_png),
          timeout=LIMIT_S)
      if reply.version != version:
        raise AssertionError(f'{reply.version} in the place of {version}')
      for image in reply.images:
        key = (version, seed, image.index, image_format, guide_png is not None, 0)
        digests[key] = hashlib.sha256(image.data).digest()
      return reply.images
    digests = {}
    for image_format in calls.FORMATS:
      images = ask(calls.MAX_COUNT, image_format)
      if self.guide_png is None and image_format == 'png':
        self.guide_png = images[0].data
    ask(calls.GUIDED_COUNT, 'png', self.guide_png)
    return digests

  def _previews(self, stub, version, seed):
    digests = {}
    def ask(first_index, count):
      steps = None
      for message in stub.GenerateStream(
          self._pb.GenerateStreamRequest(
              request=calls.request(self._pb, seed, first_index, count,
                                    'float32'),
              previews=True), timeout=LIMIT_S):
        if message.HasField('accepted'):
          steps = range(1, message.accepted.num_timesteps)
        elif message.HasField('preview'):
          preview = message.preview
          key = (version, seed, preview.index, 'float32', False, preview.step)
          digests[key] = hashlib.sha256(preview.data).digest()
      return [index for index in range(first_index, first_index + count)
              for step in steps
              if (version, seed, index, 'float32', False, step) not in digests]
    missing = ask(0, calls.MAX_COUNT)
    for _ in range(TRIES):
      missing = [index for first in sorted(set(missing))
                 for index in ask(first, 1)]
    if missing:
      raise AssertionError(f'previews of {set(missing)} never came')
    return digests
