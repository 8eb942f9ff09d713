"""Images that are kept are the images that a server without them makes.

A server with --image_cache_mib gets random requests of which many come again,
by Generate, GenerateStream and ModelInfer, while versions are published, pinned
and rolled back; every image must have the bytes that a server of that version
alone, which keeps none, makes of it. Equal calls at the same time must cost the
steps of one.

Run by CTest, or by hand:
  python image_cache_test.py --server=build/release/server/ddgan-server \
      --model_root=deploy/models \
      --publisher=build/release/tests/integration/publish_versions
"""

import argparse
import concurrent.futures
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import unittest

import grpc
import numpy as np
import tritonclient.grpc as triton

import hot_reload
from server_metrics import Metrics
from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MODEL = 'tiny'
FLAGS = ['--poll_interval=50ms', '--warmup=ends', '--canary_max_mean_shift=2',
         '--log_level=warn', '--access_log=none']
CACHE_MIB = 1
CALLERS = 8
CALLS = 1000
VERSIONS = 4
FORMATS = ('PNG', 'RAW8', 'FLOAT32')
TRITON_OUTPUTS = {'PNG': 'png', 'RAW8': 'image', 'FLOAT32': 'float32'}
LIMIT_S = 240

options = None  # Set by main().
stubs = None


def setUpModule():
  global stubs
  stubs = generate_stubs(REPOSITORY / 'proto')


class ImageCacheTest(unittest.TestCase):
  """Each test has a model root and a server of its own."""

  def setUp(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-image-cache-')
    self.addCleanup(folder.cleanup)
    root = pathlib.Path(folder.name)
    source = min(pathlib.Path(options.model_root).glob('*/[1-9]*'))
    self.publisher = hot_reload.Publisher(options.publisher, source, root,
                                          MODEL)
    self.publisher.publish(1)
    self.server = self.enterContext(ServerProcess(
        options.server, root, [*FLAGS, f'--image_cache_mib={CACHE_MIB}']))
    self.models = self.enterContext(
        hot_reload.ServerModels(self.server, stubs))
    self.models.wait_until_live(MODEL, 1)

  def channel(self):
    return grpc.insecure_channel(
        self.server.grpc_address,
        options=[('grpc.use_local_subchannel_pool', 1)])

  def made(self):
    """Rows of all generator calls: the steps of all images."""
    return Metrics(self.server).sum('ddgan_step_batch_size_sum')

  def asked(self, result):
    return Metrics(self.server).sum('ddgan_image_cache_images_total',
                                    result=result)

  def test_random_calls_under_reload_get_no_other_byte(self):
    images = {}  # Sets of bytes, by (version, seed, index, format).
    lock = threading.Lock()

    def note(version, noise, image_format, all_bytes):
      with lock:
        for (seed, index), data in zip(noise, all_bytes, strict=True):
          images.setdefault((version, seed, index, image_format),
                            set()).add(bytes(data))

    def call(number):
      rng = random.Random(number)
      seed, first = rng.randrange(6), rng.randrange(3)
      count = rng.randint(1, 4)
      image_format = rng.choice(FORMATS)
      kind = rng.choice(('generate', 'generate', 'stream', 'previews', 'infer'))
      noise = [(seed, first + i) for i in range(count)]
      if kind == 'infer':
        seeds = triton.InferInput('seed', [count], 'UINT64')
        seeds.set_data_from_numpy(np.full(count, seed, np.uint64))
        indices = triton.InferInput('index', [count], 'UINT32')
        indices.set_data_from_numpy(
            np.array([index for _, index in noise], np.uint32))
        name = TRITON_OUTPUTS[image_format]
        result = triton_client.infer(
            MODEL, [seeds, indices],
            outputs=[triton.InferRequestedOutput(name)],
            client_timeout=LIMIT_S)
        values = result.as_numpy(name)
        note(int(result.get_response().model_version), noise, image_format,
             values if image_format == 'PNG'
             else [value.tobytes() for value in values])
        return
      request = pb.GenerateRequest(
          model=MODEL, seed=seed, first_index=first, count=count,
          format=pb.OutputFormat.Value(f'OUTPUT_FORMAT_{image_format}'))
      if kind == 'generate':
        reply = stub.Generate(request, timeout=LIMIT_S)
        version = reply.version
        found = {image.index: image.data for image in reply.images}
      else:
        found, previews = {}, 0
        for event in stub.GenerateStream(
            pb.GenerateStreamRequest(request=request,
                                     previews=kind == 'previews'),
            timeout=LIMIT_S):
          if event.HasField('accepted'):
            version = event.accepted.version
          elif event.HasField('image'):
            found[event.image.index] = event.image.data
          elif event.HasField('preview'):
            previews += 1
        self.assertTrue(kind == 'previews' or previews == 0)
      note(version, noise, image_format, [found[index] for _, index in noise])

    pb, grpc_pb = stubs[0], stubs[1]
    with self.channel() as channel, \
         triton.InferenceServerClient(self.server.grpc_address) as \
         triton_client, \
         concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
      stub = grpc_pb.ImageGenerationStub(channel)
      done = []
      parts = iter(range(VERSIONS + 2))

      def begin_part():
        """The first call sees the version that is live, the rest the reload."""
        calls = [pool.submit(call, number)
                 for number in range(next(parts), CALLS, VERSIONS + 2)]
        done.extend(calls)
        calls[0].result()

      begin_part()
      for version in range(2, VERSIONS + 1):
        self.publisher.publish(version)
        self.models.wait_until_live(MODEL, version)
        begin_part()
      model_pb = stubs[2]
      self.models.service.RollBack(model_pb.RollBackRequest(model=MODEL),
                                   timeout=LIMIT_S)
      begin_part()
      self.models.service.UnpinVersion(
          model_pb.UnpinVersionRequest(model=MODEL), timeout=LIMIT_S)
      begin_part()
      for future in done:
        future.result()

    self.assertEqual({version for version, *_ in images},
                     set(range(1, VERSIONS + 1)))
    hits, joined, misses = map(self.asked, ('hit', 'coalesced', 'miss'))
    print(f'{len(images)} different images of {CALLS} calls: {hits:.0f} hits, '
          f'{joined:.0f} coalesced, {misses:.0f} misses')
    self.assertGreater(hits, CALLS / 10)
    self.assertLessEqual(
        Metrics(self.server).sum('ddgan_image_cache_bytes'), CACHE_MIB << 20)
    for version in range(1, VERSIONS + 1):
      self.compare_with_quiet_server(version, images)

  def compare_with_quiet_server(self, version, images):
    """One of only this version, which keeps no image."""
    with tempfile.TemporaryDirectory(prefix='ddgan-quiet-') as root:
      shutil.copytree(self.publisher.folder / str(version),
                      pathlib.Path(root, MODEL, str(version)))
      with ServerProcess(options.server, root, FLAGS) as server, \
           hot_reload.ServerModels(server, stubs) as models:
        for (of, seed, index, image_format), found in images.items():
          if of != version:
            continue
          reply = models.generate(MODEL, image_format, seed=seed,
                                  first_index=index, count=1)
          self.assertEqual(found, {reply.images[0].data},
                           (of, seed, index, image_format))

  def test_fifty_equal_calls_at_once_cost_the_steps_of_one(self):
    before = self.made()
    evaluations = self.models.generate(MODEL, seed=1, count=3).evaluations
    steps_of_one = self.made() - before
    self.assertEqual(steps_of_one, 3 * evaluations)

    pb, grpc_pb = stubs[0], stubs[1]
    before = self.made()
    with self.channel() as channel:
      stub = grpc_pb.ImageGenerationStub(channel)
      calls = [stub.Generate.future(
          pb.GenerateRequest(model=MODEL, seed=2, count=3), timeout=LIMIT_S,
          metadata=[('ddgan-client-id', f'caller-{number}')])
               for number in range(50)]
      replies = [call.result() for call in calls]
    self.assertEqual({tuple(image.data for image in reply.images)
                      for reply in replies},
                     {tuple(image.data for image in replies[0].images)})
    self.assertEqual(self.made() - before, steps_of_one)
    self.assertEqual(self.asked('miss'), 6)
    self.assertEqual(self.asked('hit') + self.asked('coalesced'), 3 * 49)

  def test_callers_that_leave_take_nobodys_image_with_them(self):
    pb, grpc_pb, model_pb, models_grpc = stubs
    rng = random.Random(1)
    images = {}
    with self.channel() as channel:
      stub = grpc_pb.ImageGenerationStub(channel)
      models = models_grpc.ModelServiceStub(channel)
      for seed in range(10, 20):
        request = pb.GenerateRequest(model=MODEL, seed=seed, count=8,
                                     format=pb.OUTPUT_FORMAT_PNG)
        calls = [stub.Generate.future(request, timeout=LIMIT_S)
                 for _ in range(10)]
        staying = calls.pop(rng.randrange(len(calls)))
        if seed % 2:
          # Answered on the same connection, so the server has the calls by now.
          # Else it may never hear of them.
          models.ListModels(model_pb.ListModelsRequest(), timeout=LIMIT_S)
        for call in calls:
          call.cancel()
        reply = staying.result()
        self.assertEqual(len(reply.images), 8)
        for image in reply.images:
          images[reply.version, seed, image.index, 'PNG'] = {image.data}
    self.compare_with_quiet_server(1, images)
    self.assertGreater(Metrics(self.server).sum('ddgan_requests_total',
                                                code='CANCELLED'), 0)


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True, type=os.path.abspath)
  parser.add_argument('--model_root', required=True, type=os.path.abspath)
  parser.add_argument('--publisher', required=True, type=os.path.abspath)
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
