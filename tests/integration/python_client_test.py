"""An independent client, Python's grpcio, against a real server.

It shares nothing with the C++ client but the .proto files: the stubs are
generated here, the images are decoded by Pillow, the floats are converted by
NumPy.

Run by CTest, or by hand:
  python python_client_test.py --server=build/release/server/ddgan-server \
      --client=build/release/client/ddgan \
      --model_root=build/release/tests/integration/tiny_models \
      --promtool=promtool
"""

import argparse
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
import numpy as np
from PIL import Image
from PIL import ImageDraw

from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SEED = 2**64 - 3  # Tests all 64 bits.

options = None  # Set by main().


def get(address, path):
  """Status code and body of an HTTP request."""
  try:
    with urllib.request.urlopen(f'http://{address}{path}', timeout=10) as reply:
      return reply.status, reply.read().decode()
  except urllib.error.HTTPError as error:
    return error.code, error.read().decode()


class PythonClientTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    (cls.pb, cls.images_grpc, cls.model_pb,
     cls.models_grpc) = generate_stubs(REPOSITORY / 'proto')

    cls.server = ServerProcess(options.server, options.model_root)
    cls.addClassCleanup(cls.server.close)
    cls.channel = grpc.insecure_channel(
        cls.server.grpc_address,
        options=[('grpc.max_receive_message_length', 65 << 20)])
    cls.addClassCleanup(cls.channel.close)
    cls.images = cls.images_grpc.ImageGenerationStub(cls.channel)
    models = cls.models_grpc.ModelServiceStub(cls.channel).ListModels(
        cls.model_pb.ListModelsRequest(), timeout=30)
    cls.model, cls.version = next(
        (model.name, version)
        for model in models.models for version in model.versions
        if version.state == cls.model_pb.MODEL_VERSION_STATE_LIVE)

  def generate(self, **fields):
    fields = {'model': self.model, 'seed': SEED, **fields}
    return self.images.Generate(self.pb.GenerateRequest(**fields), timeout=240)

  def assert_refused(self, code, words, **fields):
    with self.assertRaises(grpc.RpcError) as caught:
      self.generate(**fields)
    self.assertEqual(caught.exception.code(), code)
    for word in words:
      self.assertIn(word, caught.exception.details())

  def test_the_three_formats_hold_the_same_image(self):
    png, raw8, float32 = [
        self.generate(count=3, format=number)
        for number in (self.pb.OUTPUT_FORMAT_PNG, self.pb.OUTPUT_FORMAT_RAW8,
                       self.pb.OUTPUT_FORMAT_FLOAT32)]
    shape = raw8.shape
    for i in range(3):
      pixels = np.frombuffer(raw8.images[i].data, np.uint8).reshape(
          shape.height, shape.width, shape.channels)

      picture = Image.open(io.BytesIO(png.images[i].data))
      self.assertEqual(picture.format, 'PNG')
      self.assertEqual(picture.mode, 'L' if shape.channels == 1 else 'RGB')
      np.testing.assert_array_equal(
          np.asarray(picture).reshape(pixels.shape), pixels)

      x = np.frombuffer(float32.images[i].data, '<f4').reshape(
          shape.channels, shape.height, shape.width)
      one, half, scale = np.float32([1, 0.5, 127.5])
      mapped = np.floor((np.clip(x, -one, one) + one) * scale + half)
      self.assertEqual(mapped.dtype, np.float32)
      np.testing.assert_array_equal(
          mapped.astype(np.uint8).transpose(1, 2, 0), pixels)

    self.assertNotEqual(raw8.images[0].data, raw8.images[1].data)

  def test_an_image_alone_equals_itself_among_64(self):
    for number in (self.pb.OUTPUT_FORMAT_PNG, self.pb.OUTPUT_FORMAT_FLOAT32):
      together = self.generate(count=64, first_index=100, format=number)
      self.assertEqual([image.index for image in together.images],
                       list(range(100, 164)))
      for index in (100, 117, 163):
        alone = self.generate(count=1, first_index=index, format=number)
        self.assertEqual(alone.images[0].index, index)
        self.assertEqual(alone.images[0].data,
                         together.images[index - 100].data)

  def stream(self, previews=False, **fields):
    fields = {'model': self.model, 'seed': SEED, **fields}
    return self.images.GenerateStream(
        self.pb.GenerateStreamRequest(
            request=self.pb.GenerateRequest(**fields), previews=previews),
        timeout=240)

  def test_a_stream_brings_the_same_images_one_by_one(self):
    together = self.generate(count=16, first_index=100)
    first, *events, last = self.stream(count=16, first_index=100)
    accepted, summary = first.accepted, last.summary
    for field in ('model', 'version', 'checkpoint_digest', 'seed',
                  'num_timesteps', 'shape'):
      self.assertEqual(getattr(accepted, field), getattr(together, field))
    self.assertEqual({event.WhichOneof('event') for event in events}, {'image'})
    images = {event.image.index: event.image.data for event in events}
    self.assertEqual(len(events), 16)
    self.assertEqual(images, {image.index: image.data
                              for image in together.images})
    self.assertEqual((summary.images, summary.previews_sent,
                      summary.previews_dropped), (16, 0, 0))
    self.assertGreater(summary.timings.steps.ToNanoseconds(), 0)

  def test_previews_are_pictures_and_come_before_their_image(self):
    events = list(self.stream(count=4, previews=True))
    shape = events[0].accepted.shape
    summary = events[-1].summary
    steps = {}  # Of each image, as they came; 0 is the image itself.
    for event in events[1:-1]:
      if event.WhichOneof('event') == 'preview':
        steps.setdefault(event.preview.index, []).append(event.preview.step)
        picture = Image.open(io.BytesIO(event.preview.data))
        self.assertEqual(picture.size, (shape.width, shape.height))
      else:
        steps.setdefault(event.image.index, []).append(0)
    self.assertEqual(sorted(steps), [0, 1, 2, 3])
    for of_image in steps.values():
      self.assertEqual(of_image, sorted(set(of_image), reverse=True))
      self.assertEqual(of_image[-1], 0)
      self.assertLess(of_image[0], self.version.num_timesteps)
    self.assertEqual(summary.images, 4)
    self.assertEqual(summary.previews_sent, len(events) - 2 - 4)
    self.assertEqual(summary.previews_sent + summary.previews_dropped,
                     4 * (self.version.num_timesteps - 1))

  def test_a_stream_may_be_left_and_the_server_goes_on(self):
    call = self.stream(count=64)
    self.assertTrue(next(call).HasField('accepted'))
    call.cancel()
    with self.assertRaises(grpc.RpcError) as caught:
      list(call)
    self.assertEqual(caught.exception.code(), grpc.StatusCode.CANCELLED)
    self.assertEqual(len(self.generate(count=1).images), 1)

  def test_a_stream_without_a_request_is_refused_as_count_0_is(self):
    with self.assertRaises(grpc.RpcError) as caught:
      list(self.images.GenerateStream(self.pb.GenerateStreamRequest(),
                                      timeout=240))
    self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
    self.assertIn('count', caught.exception.details())

  def guide(self, steps, fit=None):
    """A few strokes, in the model's size unless they are to be resized."""
    resize = self.pb.GUIDE_FIT_RESIZE
    size = ((50, 30) if fit == resize
            else (self.version.shape.width, self.version.shape.height))
    picture = Image.new('RGB', size, (40, 60, 90))
    ImageDraw.Draw(picture).line([(0, 0), size], fill=(230, 200, 20), width=4)
    png = io.BytesIO()
    picture.save(png, 'PNG')
    return self.pb.Guide(png=png.getvalue(), steps=steps, fit=fit)

  def test_a_guide_makes_other_images_and_the_same_ones_again(self):
    steps = self.version.num_timesteps
    free = self.generate(count=2)
    seen = {image.data for image in free.images}
    for guide in (self.guide(1), self.guide(steps),
                  self.guide(1, self.pb.GUIDE_FIT_RESIZE)):
      guided = self.generate(count=2, guide=guide)
      seen.update(image.data for image in guided.images)
      again = self.generate(count=1, first_index=1, guide=guide)
      self.assertEqual(again.images[0].data, guided.images[1].data)
      _, *events, last = self.stream(count=2, guide=guide, previews=True)
      streamed = {event.image.index: event.image.data for event in events
                  if event.HasField('image')}
      self.assertEqual(streamed, {image.index: image.data
                                  for image in guided.images})
      self.assertEqual(
          last.summary.previews_sent + last.summary.previews_dropped,
          2 * (guide.steps - 1))
    self.assertEqual(len(seen), 8)

  def test_bad_guides_are_refused_with_the_fields_name(self):
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    self.assert_refused(invalid, ['guide.png'], count=1,
                        guide=self.pb.Guide(png=b'GIF89a', steps=1))
    for steps in (0, self.version.num_timesteps + 1):
      self.assert_refused(invalid, ['guide.steps', str(steps)], count=1,
                          guide=self.guide(steps))
    other_size = self.guide(1, self.pb.GUIDE_FIT_RESIZE)
    other_size.fit = self.pb.GUIDE_FIT_REFUSE
    self.assert_refused(invalid, ['guide', '50x30'], count=1, guide=other_size)

  def test_a_png_says_where_it_comes_from(self):
    reply = self.generate(count=2, first_index=9)
    text = {'Software': 'ddgan-serve', 'ddgan:model': self.model,
            'ddgan:version': str(reply.version),
            'ddgan:digest': reply.checkpoint_digest, 'ddgan:seed': str(SEED),
            'ddgan:index': '10', 'ddgan:steps': str(reply.num_timesteps)}
    self.assertEqual(Image.open(io.BytesIO(reply.images[1].data)).text, text)

    guided = self.generate(count=1, first_index=10, guide=self.guide(1))
    self.assertEqual(Image.open(io.BytesIO(guided.images[0].data)).text,
                     {**text, 'ddgan:steps': '1'})

    for event in self.stream(count=1, first_index=10, previews=True):
      if event.HasField('preview'):
        self.assertEqual(Image.open(io.BytesIO(event.preview.data)).text,
                         {**text, 'ddgan:step': str(event.preview.step)})

  def test_class_and_client_id_change_no_image(self):
    plain = self.generate(count=3)
    for name in ('REQUEST_CLASS_INTERACTIVE', 'REQUEST_CLASS_BATCH'):
      reply = self.images.Generate(
          self.pb.GenerateRequest(
              model=self.model, seed=SEED, count=3,
              request_class=self.pb.RequestClass.Value(name)),
          metadata=[('ddgan-client-id', 'night job')], timeout=240)
      self.assertEqual([image.data for image in reply.images],
                       [image.data for image in plain.images])
    with self.assertRaises(grpc.RpcError) as caught:
      self.images.Generate(
          self.pb.GenerateRequest(model=self.model, count=1),
          metadata=[('ddgan-client-id', 65 * 'x')], timeout=240)
    self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
    self.assertIn('ddgan-client-id', caught.exception.details())

  def test_images_that_share_batches_equal_those_alone(self):
    requests = [
        self.pb.GenerateRequest(model=self.model, seed=seed, count=count)
        for seed, count in ((1, 5), (2, 1), (3, 9), (4, 2), (5, 7), (6, 3))]
    # All in flight at once, so at different steps in shared batches.
    calls = [self.images.Generate.future(request, timeout=240)
             for request in requests]
    together = [call.result() for call in calls]
    for request, reply in zip(requests, together):
      alone = self.images.Generate(request, timeout=240)
      self.assertEqual([image.data for image in reply.images],
                       [image.data for image in alone.images])

  def test_the_reply_says_how_to_ask_again(self):
    first = self.images.Generate(
        self.pb.GenerateRequest(model=self.model, count=2), timeout=240)
    self.assertEqual(first.model, self.model)
    self.assertEqual(first.version, self.version.version)
    self.assertEqual(first.checkpoint_digest, self.version.checkpoint_digest)
    self.assertRegex(first.checkpoint_digest, '^[0-9a-f]{64}$')
    self.assertEqual(first.num_timesteps, self.version.num_timesteps)
    self.assertEqual(first.shape, self.version.shape)
    self.assertGreater(first.timings.steps.ToNanoseconds(), 0)
    again = self.generate(seed=first.seed, version=first.version, count=1,
                          first_index=1)
    self.assertEqual(again.images[0].data, first.images[1].data)

  def test_a_seed_that_the_server_draws_is_another_each_time(self):
    request = self.pb.GenerateRequest(model=self.model, count=1)
    seeds = {self.images.Generate(request, timeout=240).seed for _ in range(3)}
    self.assertEqual(len(seeds), 3)

  def test_the_last_index_is_reached_and_not_passed(self):
    reply = self.generate(count=2, first_index=2**32 - 2)
    self.assertEqual(reply.images[1].index, 2**32 - 1)
    self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, ['first_index'],
                        count=2, first_index=2**32 - 1)

  def test_bad_requests_get_the_right_code_and_name_the_field(self):
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    self.assert_refused(invalid, ['count', '0', '64'], count=0)
    self.assert_refused(invalid, ['count', '65', '64'], count=65)
    self.assert_refused(invalid, ['format', '99'], count=1, format=99)
    self.assert_refused(invalid, ['version', '-1'], count=1, version=-1)
    self.assert_refused(invalid, ['request_class', '7', '2'], count=1,
                        request_class=7)
    missing = grpc.StatusCode.NOT_FOUND
    self.assert_refused(missing, ['no-such-model'], count=1,
                        model='no-such-model')
    self.assert_refused(missing, ['987654321'], count=1, version=987654321)
    # After all of them it still works.
    self.assertEqual(len(self.generate(count=1).images), 1)

  def test_health_by_the_standard_protocol(self):
    health = health_pb2_grpc.HealthStub(self.channel)
    for service in ('', 'ddgan.v1.ImageGeneration', 'ddgan.v1.ModelService'):
      reply = health.Check(health_pb2.HealthCheckRequest(service=service),
                           timeout=10)
      self.assertEqual(reply.status, health_pb2.HealthCheckResponse.SERVING)
    with self.assertRaises(grpc.RpcError) as caught:
      health.Check(health_pb2.HealthCheckRequest(service='no.such.Service'),
                   timeout=10)
    self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)

  def test_reflection_lists_the_services_and_describes_them(self):
    reflection = ProtoReflectionDescriptorDatabase(self.channel)
    self.assertLessEqual(
        {'ddgan.v1.ImageGeneration', 'ddgan.v1.ModelService',
         'grpc.health.v1.Health'}, set(reflection.get_services()))
    described = reflection.FindFileContainingSymbol('ddgan.v1.ImageGeneration')
    self.assertEqual(described.name, 'ddgan/v1/image_generation.proto')
    self.assertIn('Generate', [method.name
                               for method in described.service[0].method])

  def test_promtool_accepts_the_metrics(self):
    self.generate(count=1)
    status, text = get(self.server.http_address, '/metrics')
    self.assertEqual(status, 200)
    self.assertIn('ddgan_images_total', text)
    check = subprocess.run([options.promtool, 'check', 'metrics'], input=text,
                           text=True, capture_output=True)
    # It writes advice, such as on names, without failing for it.
    self.assertEqual((check.returncode, check.stdout + check.stderr), (0, ''))

  def test_the_command_line_client_writes_the_same_bytes(self):
    with tempfile.TemporaryDirectory(prefix='ddgan-client-') as folder:
      for arguments in (['health'],
                        ['generate', '--count=70', f'--seed={SEED}',
                         f'--model={self.model}', f'--out={folder}/'],
                        ['generate', '--count=70', f'--seed={SEED}', '--stream',
                         '--previews', '--class=batch',
                         f'--model={self.model}', f'--out={folder}/stream/'],
                        ['generate', '--count=70', f'--seed={SEED}', '--grid',
                         f'--model={self.model}', f'--out={folder}/grid.png']):
        subprocess.run([options.client, *arguments,
                        f'--server={self.server.grpc_address}'], check=True,
                       stdout=subprocess.DEVNULL)
      reply = self.generate(count=6, first_index=64)
      for image in reply.images:
        written = pathlib.Path(folder, f'{image.index}.png').read_bytes()
        self.assertEqual(written, image.data)
        streamed = pathlib.Path(folder, 'stream', f'{image.index}.png')
        self.assertEqual(streamed.read_bytes(), image.data)
      grid = Image.open(pathlib.Path(folder, 'grid.png'))
      first = Image.open(pathlib.Path(folder, '0.png'))
      # Nine columns and eight rows, with a gap of two pixels.
      self.assertEqual(grid.size, (2 + 9 * (first.width + 2),
                                   2 + 8 * (first.height + 2)))
      corner = grid.crop((2, 2, 2 + first.width, 2 + first.height))
      self.assertEqual(corner.tobytes(), first.tobytes())

  def test_livez_and_readyz(self):
    self.assertEqual(get(self.server.http_address, '/livez')[0], 200)
    self.assertEqual(get(self.server.http_address, '/readyz')[0], 200)
    self.assertEqual(get(self.server.http_address, '/no-such-page')[0], 404)


class ShutdownTest(unittest.TestCase):

  def test_sigterm_ends_an_idle_server_with_0(self):
    with ServerProcess(options.server, options.model_root) as server:
      self.assertEqual(server.terminate(), 0, server.log())


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True, help='the ddgan-server binary')
  parser.add_argument('--client', required=True, help='the ddgan binary')
  parser.add_argument('--model_root', required=True)
  parser.add_argument('--promtool', required=True)
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
