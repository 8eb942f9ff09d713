"""Triton's own client, from PyPI, against a real server.

It shares nothing with this project: it has the protocol's published messages.

Run by CTest, or by hand:
  python triton_client_test.py --server=build/release/server/ddgan-server \
      --model_root=deploy/models --readme=server/KSERVE.md
"""

import argparse
import asyncio
import hashlib
import io
import json
import os
import pathlib
import queue
import re
import sys
import tempfile
import time
import unittest
import urllib.request

import grpc
import numpy as np
from PIL import Image
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import service_pb2
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import InferenceServerException

from server_metrics import Metrics
from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# All 64 bits count.
SEEDS = np.array([2**64 - 1, *range(2**63, 2**63 + 63)], np.uint64)

options = None  # Set by main().


def seed_input(seeds):
  tensor = triton.InferInput('seed', [len(seeds)], 'UINT64')
  tensor.set_data_from_numpy(np.asarray(seeds, np.uint64))
  return tensor


def index_input(indices):
  tensor = triton.InferInput('index', [len(indices)], 'UINT32')
  tensor.set_data_from_numpy(np.asarray(indices, np.uint32))
  return tensor


def outputs(*names):
  return [triton.InferRequestedOutput(name) for name in names]


def eventually(look, good):
  """What `look` returns once it is good.

  A call ends for its caller slightly before it is counted.
  """
  give_up = time.monotonic() + 60
  while True:
    now = look()
    if good(now):
      return now
    if time.monotonic() > give_up:
      raise AssertionError(f'not within a minute: {now}')
    time.sleep(0.05)


class TritonClientTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    cls.pb, cls.images_grpc, cls.model_pb, cls.models_grpc = generate_stubs(
        REPOSITORY / 'proto')
    cls.server = ServerProcess(options.server, options.model_root)
    cls.addClassCleanup(cls.server.close)
    cls.client = triton.InferenceServerClient(cls.server.grpc_address)
    cls.addClassCleanup(cls.client.close)
    cls.channel = grpc.insecure_channel(
        cls.server.grpc_address,
        options=[('grpc.max_receive_message_length', 65 << 20)])
    cls.addClassCleanup(cls.channel.close)
    cls.images = cls.images_grpc.ImageGenerationStub(cls.channel)
    cls.raw = service_pb2_grpc.GRPCInferenceServiceStub(cls.channel)
    index = cls.client.get_model_repository_index()
    cls.model, cls.version = next(
        (entry.name, entry.version) for entry in index.models
        if entry.state == 'READY')

  def generate(self, seed, number, first_index=0, count=1):
    reply = self.images.Generate(
        self.pb.GenerateRequest(
            model=self.model, seed=int(seed), format=number, count=count,
            first_index=int(first_index)),
        timeout=240)
    return [image.data for image in reply.images]

  def infer(self, *tensors, **fields):
    return self.client.infer(self.model, list(tensors), **fields)

  def assert_fails(self, code, words, call):
    with self.assertRaises(InferenceServerException) as caught:
      call()
    self.assertEqual(caught.exception.status(), f'StatusCode.{code}')
    self.assertIn(words, caught.exception.message())

  def test_sixty_four_images_have_the_bytes_of_generate(self):
    reply = self.infer(seed_input(SEEDS))  # All outputs.
    self.assertEqual(reply.get_response().model_version, self.version)
    image = reply.as_numpy('image')
    png = reply.as_numpy('png')
    float32 = reply.as_numpy('float32')
    self.assertEqual(image.dtype, np.uint8)
    self.assertEqual(float32.dtype, np.float32)
    self.assertEqual(png.shape, (64,))
    count, height, width, channels = image.shape
    self.assertEqual(count, 64)
    self.assertEqual(float32.shape, (64, channels, height, width))
    for i, seed in enumerate(SEEDS):
      self.assertEqual(self.generate(seed, self.pb.OUTPUT_FORMAT_RAW8),
                       [image[i].tobytes()])
      self.assertEqual(self.generate(seed, self.pb.OUTPUT_FORMAT_FLOAT32),
                       [float32[i].tobytes()])
      self.assertEqual(self.generate(seed, self.pb.OUTPUT_FORMAT_PNG),
                       [png[i]])
      np.testing.assert_array_equal(
          np.asarray(Image.open(io.BytesIO(png[i]))).reshape(image[i].shape),
          image[i])
    self.assertGreater(len({picture.tobytes() for picture in image}), 60)

  def test_an_output_alone_is_the_same_as_beside_others(self):
    together = self.infer(seed_input(SEEDS[:8]))
    for name in ('image', 'png', 'float32'):
      alone = self.infer(seed_input(SEEDS[:8]), outputs=outputs(name))
      np.testing.assert_array_equal(alone.as_numpy(name),
                                    together.as_numpy(name))
      self.assertEqual(len(alone.get_response().outputs), 1)

  def test_indices_ask_for_the_images_of_one_seed(self):
    reply = self.infer(index_input([7, 0, 3]), seed_input([5, 5, 6]),
                       outputs=outputs('png'), request_id='mine')
    self.assertEqual(reply.get_response().id, 'mine')
    expected = [
        self.generate(5, self.pb.OUTPUT_FORMAT_PNG, 7)[0],
        self.generate(5, self.pb.OUTPUT_FORMAT_PNG, 0)[0],
        self.generate(6, self.pb.OUTPUT_FORMAT_PNG, 3)[0],
    ]
    self.assertEqual(list(reply.as_numpy('png')), expected)

  def test_typed_contents_are_as_good_as_raw_ones(self):
    request = service_pb2.ModelInferRequest(model_name=self.model)
    tensor = request.inputs.add(name='seed', datatype='UINT64', shape=[2])
    tensor.contents.uint64_contents.extend([2**64 - 1, 5])
    request.outputs.add(name='image')
    reply = self.raw.ModelInfer(request, timeout=240)
    self.assertEqual(
        reply.raw_output_contents[0],
        self.infer(seed_input([2**64 - 1, 5]),
                   outputs=outputs('image')).as_numpy('image').tobytes())

  def test_a_version_may_be_named(self):
    reply = self.infer(seed_input([1]), model_version=self.version,
                       outputs=outputs('png'))
    self.assertEqual(reply.get_response().model_version, self.version)
    digest = reply.get_response().parameters['checkpoint_digest'].string_param
    self.assertEqual(len(digest), 64)
    self.assert_fails('NOT_FOUND', '', lambda: self.infer(
        seed_input([1]), model_version='987654321'))
    self.assert_fails('INVALID_ARGUMENT', "model_version: 'latest'",
                      lambda: self.infer(seed_input([1]),
                                         model_version='latest'))

  def test_errors_have_the_codes_that_clients_expect(self):
    self.assert_fails('NOT_FOUND', 'no_such_model', lambda: self.client.infer(
        'no_such_model', [seed_input([1])]))
    self.assert_fails('INVALID_ARGUMENT', "inputs 'seed': is missing",
                      lambda: self.infer())
    self.assert_fails('INVALID_ARGUMENT', 'shape [65]',
                      lambda: self.infer(seed_input(range(65))))
    self.assert_fails('INVALID_ARGUMENT', "outputs: 'jpeg'", lambda: self.infer(
        seed_input([1]), outputs=outputs('jpeg')))
    self.assert_fails('INVALID_ARGUMENT', "'priority': 3", lambda: self.infer(
        seed_input([1]), priority=3))
    self.assert_fails('INVALID_ARGUMENT', 'sequence_', lambda: self.infer(
        seed_input([1]), sequence_id=7, sequence_start=True))
    # A microsecond is over before the images are begun.
    self.assert_fails('DEADLINE_EXCEEDED', 'deadline', lambda: self.infer(
        seed_input([1]), timeout=1))
    self.assert_fails('UNIMPLEMENTED', '',
                      lambda: self.client.load_model(self.model))
    self.assert_fails('UNIMPLEMENTED', '',
                      self.client.get_system_shared_memory_status)
    self.infer(seed_input([1]), priority=2, timeout=240_000_000,
               outputs=outputs('png'))

  def test_streams_are_refused_as_not_there(self):
    replies = queue.Queue()
    with triton.InferenceServerClient(self.server.grpc_address) as client:
      client.start_stream(lambda result, error: replies.put(error))
      error = replies.get(timeout=60)
      self.assertEqual(error.status(), 'StatusCode.UNIMPLEMENTED')

  def test_hostile_requests_are_invalid_arguments(self):
    def request(shape, raw, datatype='UINT64', name='seed'):
      message = service_pb2.ModelInferRequest(model_name=self.model)
      message.inputs.add(name=name, datatype=datatype, shape=shape)
      message.raw_input_contents.append(raw)
      return message

    typed = service_pb2.ModelInferRequest(model_name=self.model)
    typed.inputs.add(name='seed', datatype='UINT64', shape=[2])
    typed.inputs[0].contents.uint64_contents.append(1)
    beside = request([1], b'12345678')
    beside.inputs[0].contents.uint64_contents.append(1)
    surplus = request([1], b'12345678')
    surplus.raw_input_contents.append(b'12345678')
    twice = request([1], b'12345678')
    twice.inputs.append(twice.inputs[0])
    twice.raw_input_contents.append(b'12345678')
    shared = request([1], b'')
    shared.inputs[0].parameters['shared_memory_region'].string_param = 'mine'
    hostile = [
        request([], b'12345678'),
        request([0], b''),
        request([-1], b'12345678'),
        request([-(2**63)], b''),
        request([2**63 - 1], b'12345678'),
        request([2**61], b''),
        request([2**32 + 1], b'12345678'),
        request([1, 2], b'12345678' * 2),
        request([1, 1, 1], b'12345678'),
        request([1] * 10000, b'12345678'),
        request([1], b''),
        request([1], b'1234567'),
        request([1], b'123456789'),
        request([64], b'x' * (1 << 20)),
        request([1], b'12345678', datatype='INT64'),
        request([1], b'12345678', datatype='x' * 100000),
        request([1], b'12345678', name='image'),
        request([1], b'1234', 'UINT32', 'index'),
        typed, beside, surplus, twice, shared,
        service_pb2.ModelInferRequest(model_name=self.model),
        service_pb2.ModelInferRequest(model_name='x' * 65),
        service_pb2.ModelInferRequest(model_name=self.model, id='x' * 100000),
    ]
    for message in hostile:
      with self.assertRaises(grpc.RpcError) as caught:
        self.raw.ModelInfer(message, timeout=60)
      self.assertEqual(caught.exception.code(),
                       grpc.StatusCode.INVALID_ARGUMENT, str(message)[:200])
      self.assertLessEqual(len(caught.exception.details()), 1024)

  def test_a_call_can_be_cancelled(self):
    # Enough to keep the lanes busy until the last call is cancelled, and fewer
    # than one caller may have in the queue.
    done = queue.Queue()
    for i in range(6):
      self.client.async_infer(
          self.model, [seed_input(SEEDS)],
          lambda result, error: done.put(error), outputs=outputs('float32'))
    before = self.cancelled_calls()
    cancelled = queue.Queue()
    call = self.client.async_infer(
        self.model, [seed_input(SEEDS)],
        lambda result, error: cancelled.put(error))
    # What is answered on the same connection came after the call: the server
    # has it by now.
    self.client.get_server_metadata()
    call.cancel()
    error = cancelled.get(timeout=240)
    self.assertEqual(error.status(), 'StatusCode.CANCELLED')
    eventually(self.cancelled_calls, lambda now: now == before + 1)
    for _ in range(6):
      self.assertIsNone(done.get(timeout=240))

  def cancelled_calls(self):
    return Metrics(self.server).sum('ddgan_requests_total',
                                    method='ModelInfer', code='CANCELLED')

  def test_the_asynchronous_client_works_as_well(self):
    async def infer_twice():
      async with triton_aio.InferenceServerClient(
          self.server.grpc_address) as client:
        replies = await asyncio.gather(*[
            client.infer(self.model, [seed_input([seed])],
                         outputs=outputs('image')) for seed in (3, 4)])
        return [reply.as_numpy('image')[0].tobytes() for reply in replies]

    self.assertEqual(
        asyncio.run(infer_twice()),
        [self.generate(seed, self.pb.OUTPUT_FORMAT_RAW8)[0]
         for seed in (3, 4)])

  def test_the_calls_of_perf_analyzer_in_its_order(self):
    # perf_analyzer 2.44 -m MODEL -i grpc -u ADDRESS, as it came in.
    self.assertIn('statistics', self.client.get_server_metadata().extensions)
    metadata = self.client.get_model_metadata(self.model)
    config = self.client.get_model_config(self.model).config
    self.assertEqual(metadata.name, self.model)
    self.assertGreater(config.max_batch_size, 0)
    # Of a model that takes batches it cuts off the first dimension, and
    # generates data for the rest, which must be known.
    inputs = []
    for tensor in metadata.inputs:
      shape = list(tensor.shape[1:])
      self.assertTrue(all(dimension > 0 for dimension in shape))
      sent = triton.InferInput(tensor.name, [1, *shape], tensor.datatype)
      dtype = {'UINT64': np.uint64, 'UINT32': np.uint32}[tensor.datatype]
      random = os.urandom(np.dtype(dtype).itemsize * int(np.prod(shape)))
      sent.set_data_from_numpy(
          np.frombuffer(random, dtype).reshape([1, *shape]))
      inputs.append(sent)
    before = self.statistics()
    wanted = outputs(*(tensor.name for tensor in metadata.outputs))
    for _ in range(3):
      reply = self.client.infer(
          self.model, inputs, outputs=wanted,
          parameters={'triton_enable_empty_final_response': True})
    for tensor, described in zip(reply.get_response().outputs,
                                 metadata.outputs):
      self.assertEqual(tensor.name, described.name)
      self.assertEqual(tensor.datatype, described.datatype)
      self.assertEqual(list(tensor.shape), [1, *described.shape[1:]])
    after = eventually(
        self.statistics,
        lambda now: now.inference_stats.success.count >=
        before.inference_stats.success.count + 3)
    self.assertGreater(after.inference_stats.compute_infer.ns,
                       before.inference_stats.compute_infer.ns)

  def statistics(self):
    reply = self.client.get_inference_statistics(self.model, self.version)
    self.assertEqual(len(reply.model_stats), 1)
    return reply.model_stats[0]

  def test_tells_whether_it_is_alive_and_ready(self):
    self.assertTrue(self.client.is_server_live())
    self.assertTrue(self.client.is_server_ready())
    self.assertTrue(self.client.is_model_ready(self.model))
    self.assertTrue(self.client.is_model_ready(self.model, self.version))
    self.assertFalse(self.client.is_model_ready('no_such_model'))

  def test_metrics_name_the_method(self):
    self.infer(seed_input([1]), outputs=outputs('png'))
    text = eventually(self.metrics, lambda now: re.search(
        r'ddgan_requests_total\{[^}]*method="ModelInfer"', now))
    self.assertRegex(
        text, r'ddgan_request_duration_seconds_count\{[^}]*"ModelInfer"')

  def metrics(self):
    with urllib.request.urlopen(
        f'http://{self.server.http_address}/metrics', timeout=10) as reply:
      return reply.read().decode()

  def test_the_readme_does_what_it_says(self):
    blocks = re.findall(r'^```python\n(.*?)^```', options.readme.read_text(),
                        re.MULTILINE | re.DOTALL)
    self.assertGreater(len(blocks), 0)
    with tempfile.TemporaryDirectory() as folder:
      before = os.getcwd()
      os.chdir(folder)
      try:
        for block in blocks:
          self.assertIn('localhost:50051', block)
          self.assertIn('"mnist"', block)
          exec(compile(  # pylint: disable=exec-used
              block.replace('localhost:50051', self.server.grpc_address)
              .replace('"mnist"', repr(self.model)), 'KSERVE.md', 'exec'), {})
      finally:
        os.chdir(before)
      self.assertTrue(any(pathlib.Path(folder).glob('*.png')))


class AccessTest(unittest.TestCase):
  """Every call without a token, with a wrong scope, and with a good one."""

  TOKENS = {'generate': 'g' * 32, 'read': 'r' * 32}

  @classmethod
  def setUpClass(cls):
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    tokens = pathlib.Path(folder.name) / 'tokens.json'
    tokens.write_text(json.dumps({'tenants': [{
        'name': 'studio',
        'tokens': [{'sha256': hashlib.sha256(token.encode()).hexdigest(),
                    'scopes': [scope]}
                   for scope, token in cls.TOKENS.items()],
    }]}))
    cls.server = ServerProcess(options.server, options.model_root,
                               [f'--token_file={tokens}'])
    cls.addClassCleanup(cls.server.close)
    cls.client = triton.InferenceServerClient(cls.server.grpc_address)
    cls.addClassCleanup(cls.client.close)

  def headers(self, scope):
    if scope is None:
      return {}
    return {'authorization': f'Bearer {self.TOKENS[scope]}'}

  def test_every_call_needs_its_scope(self):
    index = self.client.get_model_repository_index(
        headers=self.headers('read'))
    model = next(entry.name for entry in index.models
                 if entry.state == 'READY')
    calls = {
        'read': [
            self.client.get_server_metadata,
            self.client.get_model_repository_index,
            self.client.get_inference_statistics,
            lambda headers: self.client.is_model_ready(model, headers=headers),
            lambda headers: self.client.get_model_metadata(
                model, headers=headers),
            lambda headers: self.client.get_model_config(
                model, headers=headers),
        ],
        'generate': [
            lambda headers: self.client.infer(
                model, [seed_input([1])], headers=headers,
                outputs=outputs('png')),
        ],
    }
    wrong = {'read': 'generate', 'generate': 'read'}
    for scope, methods in calls.items():
      for method in methods:
        for token, code in ((None, 'UNAUTHENTICATED'),
                            (wrong[scope], 'PERMISSION_DENIED')):
          with self.assertRaises(InferenceServerException) as caught:
            method(headers=self.headers(token))
          self.assertEqual(caught.exception.status(), f'StatusCode.{code}')
        method(headers=self.headers(scope))
    for token in (None, 'read', 'generate'):
      self.assertTrue(
          self.client.is_server_live(headers=self.headers(token)))
      self.assertTrue(
          self.client.is_server_ready(headers=self.headers(token)))


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True)
  parser.add_argument('--model_root', required=True)
  parser.add_argument('--readme', required=True, type=pathlib.Path)
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
