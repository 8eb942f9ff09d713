"""Publishing versions to a running server, and judging what comes of it.

For the tests and the benchmark of hot reload. A server is asked what it serves
through ModelService; every wait is for something that it says, with a limit.
"""

import hashlib
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import grpc

from server_process import ServerProcess

# For a version to be taken up or refused, on the slowest machine.
LIMIT_S = 60


class Publisher:
  """publish_versions with its source and model root."""

  def __init__(self, binary, source, root, model):
    self._command = [str(binary), f'--source={source}', f'--root={root}',
                     f'--model={model}']
    self.folder = pathlib.Path(root) / model

  def publish(self, version=0, *flags):
    """Publishes one version, by default the next, and returns its number."""
    done = subprocess.run([*self._command, f'--first={version}', *flags],
                          check=True, capture_output=True, text=True)
    return int(done.stdout.split()[0])

  def try_to_publish(self, **popen_arguments):
    """As publish, but returns how the process ended."""
    return subprocess.run(self._command, capture_output=True, text=True,
                          check=False, **popen_arguments)

  def start(self, *flags):
    """A process that publishes until it is killed."""
    return subprocess.Popen([*self._command, '--count=0', *flags],
                            stdout=subprocess.DEVNULL)

  def complete_versions(self):
    """Those with a manifest, oldest first."""
    return sorted(int(manifest.parent.name)
                  for manifest in self.folder.glob('[0-9]*/manifest.json'))

  def digest(self, version):
    manifest = self.folder / str(version) / 'manifest.json'
    return hashlib.sha256(manifest.read_bytes()).hexdigest()


class ServerModels:
  """What a server says of its models, and the images that it makes.

  A context manager, which closes the channel.
  """

  def __init__(self, server, stubs):
    self._pb, images_grpc, self._model_pb, models_grpc = stubs
    self._channel = grpc.insecure_channel(
        server.grpc_address,
        options=[('grpc.max_receive_message_length', 65 << 20)])
    self._images = images_grpc.ImageGenerationStub(self._channel)
    self.service = models_grpc.ModelServiceStub(self._channel)

  def __enter__(self):
    return self

  def __exit__(self, error_type, error, traceback):
    self._channel.close()

  def versions(self, model):
    """ModelVersion by number; none if the server does not know the model."""
    reply = self.service.ListModels(self._model_pb.ListModelsRequest(),
                                    timeout=LIMIT_S)
    return {version.version: version for listed in reply.models
            if listed.name == model for version in listed.versions}

  def state(self, model, version):
    """Its name without the prefix, such as 'LIVE'; None if it is not listed."""
    listed = self.versions(model).get(version)
    return listed and self._state_of(listed)

  def _state_of(self, version):
    name = self._model_pb.ModelVersionState.Name(version.state)
    return name.removeprefix('MODEL_VERSION_STATE_')

  def wait_for(self, model, version, wanted, every_s=0.02):
    """Until a version is listed and wanted(state, reason). Returns it."""
    deadline = time.monotonic() + LIMIT_S
    while True:
      versions = self.versions(model)
      listed = versions.get(version)
      if listed and wanted(self._state_of(listed), listed.reason):
        return listed
      if time.monotonic() > deadline:
        told = {number: (self._state_of(one), one.reason)
                for number, one in versions.items()}
        raise AssertionError(
            f'{model}/{version} did not get there in {LIMIT_S} s: {told}')
      time.sleep(every_s)

  def wait_until_live(self, model, version, every_s=0.02):
    return self.wait_for(model, version,
                         lambda state, reason: state == 'LIVE', every_s)

  def wait_until_refused(self, model, version):
    """Returns the reason."""
    return self.wait_for(model, version,
                         lambda state, reason: state == 'REFUSED').reason

  def generate(self, model, image_format=None, **fields):
    fields = {'count': 2, 'seed': 5, **fields}
    if image_format:
      fields['format'] = self._pb.OutputFormat.Value(
          f'OUTPUT_FORMAT_{image_format.upper()}')
    return self._images.Generate(
        self._pb.GenerateRequest(model=model, **fields), timeout=240)


class Load:
  """ddgan bench in the background, which records every call.

  A context manager, which ends it however the block ends.
  """

  def __init__(self, client, server, *flags):
    self._folder = tempfile.TemporaryDirectory(prefix='ddgan-load-')
    folder = pathlib.Path(self._folder.name)
    self._report = folder / 'report.json'
    self._record = folder / 'calls.jsonl'
    self._process = subprocess.Popen(
        [str(client), 'bench', f'--server={server.grpc_address}',
         f'--json={self._report}', f'--record={self._record}', '--warmup=0s',
         '--standalone_calls=0', '--duration=24h', *flags],
        stdout=subprocess.DEVNULL)

  def __enter__(self):
    return self

  def __exit__(self, error_type, error, traceback):
    self._process.kill()
    self._process.wait()
    self._folder.cleanup()

  def stop(self):
    """Waits for the replies to what was sent; the report and the calls."""
    self._process.send_signal(signal.SIGINT)
    if self._process.wait(LIMIT_S) != 0:
      raise AssertionError('ddgan bench failed')
    with open(self._report) as file:
      report = json.load(file)
    with open(self._record) as file:
      return report, [json.loads(line) for line in file]


def bytes_by_call(calls):
  """The hashes of all replies to what was asked of a version.

  By version, then by (seed, first_index, count): one hash, unless replies
  differed.
  """
  hashes = {}
  for call in calls:
    if call['fate'] == 'ok':
      asked = (int(call['seed']), call['first_index'], call['count'])
      hashes.setdefault(call['version'], {}).setdefault(asked, set()).add(
          call['sha256'])
  return hashes


def bytes_in_quiet(server_binary, stubs, publisher, version, asked,
                   image_format, *flags):
  """The same by a server that has only this version and no other caller."""
  with tempfile.TemporaryDirectory(prefix='ddgan-quiet-') as root:
    model = publisher.folder.name
    shutil.copytree(publisher.folder / str(version),
                    pathlib.Path(root, model, str(version)))
    counts = {}  # Images are the same in a call of fewer.
    for seed, first_index, count in asked:
      key = (seed, first_index)
      counts[key] = max(count, counts.get(key, 0))
    hashes = {}
    with ServerProcess(server_binary, root, flags) as server, \
         ServerModels(server, stubs) as models:
      for (seed, first_index), count in counts.items():
        reply = models.generate(model, image_format, seed=seed, count=count,
                                first_index=first_index)
        for number in range(1, count + 1):
          images = b''.join(image.data for image in reply.images[:number])
          hashes[seed, first_index, number] = hashlib.sha256(images).hexdigest()
    return {call: {hashes[call]} for call in asked}
