"""Every built-in configuration of the real ddgan-train: it starts, trains three
steps and publishes what a real ddgan-server takes up.

The networks are those of the configuration, down to the last number; smaller
are only the data set, which is made here, the batch and the sample pictures.
Prints the time and the peak memory of each run.

Run by CTest, or by hand:
  python train_configurations_test.py \
      --trainer=build/release/trainer/ddgan-train \
      --server=build/release/server/ddgan-server
"""

import gzip
import hashlib
import io
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import grpc
import lmdb
import numpy
from PIL import Image
import safetensors
import train_program

from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
STEPS = 3

# What all of the published networks have in common, as config.json names it.
PUBLISHED = {
    'num_channels': 3, 'num_res_blocks': 2, 'attn_resolutions': [16],
    'resblock_type': 'biggan', 'progressive': 'none',
    'progressive_input': 'residual', 'progressive_combine': 'sum',
    'embedding_type': 'positional', 'fourier_scale': 16, 'fir': True,
    'fir_kernel': [1, 3, 3, 1], 'skip_rescale': True, 'resamp_with_conv': True,
    'conditional': True, 'centered': True, 'not_use_tanh': False, 'dropout': 0,
    'nz': 100, 'z_emb_dim': 256, 'beta_min': 0.1, 'beta_max': 20,
    'use_geometric': False,
}
CIFAR10 = {**PUBLISHED, 'image_size': 32, 'num_channels_dae': 128,
           'ch_mult': [1, 2, 2, 2], 'n_mlp': 4, 'num_timesteps': 4}
CELEBAHQ_256 = {**PUBLISHED, 'image_size': 256, 'num_channels_dae': 64,
                'ch_mult': [1, 1, 2, 2, 4, 4], 'n_mlp': 3, 'num_timesteps': 2}
# Parameters of the published networks.
CIFAR10_GENERATOR = 48432515
SMALL_DISCRIMINATOR = 12741633
LARGE_DISCRIMINATOR = 27737217


def pixels(seed, *shape):
  """Smooth colours: more like pictures than noise is."""
  numbers = random.Random(seed)
  rows, columns = numpy.mgrid[0:shape[0], 0:shape[1]]
  channels = [
      127 + 120 * numpy.sin(
          rows * numbers.uniform(.01, .2) + columns * numbers.uniform(.01, .2)
          + numbers.uniform(0, 6))
      for _ in range(shape[2] if len(shape) == 3 else 1)]
  return numpy.stack(channels, axis=-1).astype(numpy.uint8).reshape(shape)


def idx_of_digits(count):
  return struct.pack('>IIII', 0x803, count, 28, 28) + b''.join(
      pixels(i, 28, 28).tobytes() for i in range(count))


def write_mnist(folder):
  """64 digits, gzipped: two batches of the configuration's own 32."""
  with gzip.open(folder / 'train-images-idx3-ubyte.gz', 'wb') as file:
    file.write(idx_of_digits(64))


def write_stacked_mnist(folder):
  """8 digits, of which 16 pictures are stacked."""
  (folder / 'train-images-idx3-ubyte').write_bytes(idx_of_digits(8))


def write_cifar10(folder):
  """5 files of 4 pictures: a label, then the planes of the colours."""
  for number in range(1, 6):
    records = [
        bytes([i]) + pixels(10 * number + i, 32, 32, 3).transpose(2, 0, 1)
        .tobytes() for i in range(4)]
    (folder / f'data_batch_{number}.bin').write_bytes(b''.join(records))


def write_lmdb_of_raw_pixels(folder):
  """4 pictures as rows of RGB, as CelebA-HQ is commonly prepared."""
  with lmdb.open(str(folder), map_size=16 << 20) as environment:
    with environment.begin(write=True) as transaction:
      for i in range(4):
        transaction.put(str(i).encode(), pixels(i, 256, 256, 3).tobytes())


def write_image_folder(folder):
  """2 PNG and 2 JPEG files, none of the model's shape."""
  for i, (name, height, width) in enumerate([
      ('a.png', 300, 280), ('b.jpg', 256, 400), ('more/c.png', 512, 256),
      ('more/d.jpeg', 200, 270)]):
    (folder / name).parent.mkdir(exist_ok=True)
    Image.fromarray(pixels(i, height, width, 3)).save(folder / name)


class TrainConfigurationsTest(unittest.TestCase):
  maxDiff = None  # Both sides, however long.

  def setUp(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-train-')
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)
    self.out = self.folder / 'models'

  def train(self, name, write_data=None, flags=()):
    """Runs the configuration and returns what it printed."""
    flags = [f'--config={name}', f'--out={self.out}', f'--max_steps={STEPS}',
             '--log_every=1', '--threads=1', '--progress=lines', *flags]
    if write_data is not None:
      data = self.folder / 'data'
      data.mkdir()
      write_data(data)
      flags.append(f'--data={data}')
    log = self.folder / 'log'
    begin = time.monotonic()
    with open(log, 'wb') as output:
      process = subprocess.Popen([train_program.path, *flags],
                                 cwd=self.folder, stdout=output,
                                 stderr=subprocess.STDOUT)
      self.addCleanup(process.kill)
      _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text()
    self.assertEqual(process.returncode, 0, text)
    print(f'{name}: {time.monotonic() - begin:.1f} s, of them '
          f'{usage.ru_utime + usage.ru_stime:.1f} s of a core, '
          f'{usage.ru_maxrss / 1024:.0f} MiB', file=sys.stderr)
    return text

  def check_run(self, name, output):
    run = self.out / f'.training-{name}'
    lines = [json.loads(line)
             for line in (run / 'metrics.jsonl').read_text().splitlines()]
    self.assertEqual([line['step'] for line in lines],
                     list(range(1, STEPS + 1)))
    for line in lines:
      for key in ('d_loss_real', 'd_loss_fake', 'g_loss', 'grad_norm_d',
                  'grad_norm_g'):
        # Null is what is not finite.
        self.assertIsNotNone(line[key], line)
        self.assertGreaterEqual(line[key], 0, line)
      self.assertEqual(line['damaged_images'], 0, line)
    # With fresh networks both learn, and the first step has R1.
    self.assertGreater(lines[0]['grad_norm_d'], 0)
    self.assertGreater(lines[0]['grad_norm_g'], 0)
    self.assertIsNotNone(lines[0]['r1'])
    with Image.open(run / f'samples_step_{STEPS}.png') as picture:
      picture.load()

    version = self.out / name / str(STEPS)
    manifest = json.loads((version / 'manifest.json').read_text())
    self.assertEqual(sorted(path.name for path in version.iterdir()),
                     ['config.json', 'manifest.json', 'model.safetensors'])
    self.assertEqual(sorted(manifest['files']),
                     ['config.json', 'model.safetensors'])
    for file, said in manifest['files'].items():
      contents = (version / file).read_bytes()
      self.assertEqual(hashlib.sha256(contents).hexdigest(), said['sha256'])
      self.assertEqual(len(contents), said['size'])
    with safetensors.safe_open(version / 'model.safetensors', 'np') as weights:
      stored = json.loads(weights.metadata()['training_config'])
      for tensor in weights.keys():
        self.assertTrue(numpy.isfinite(weights.get_tensor(tensor)).all(),
                        tensor)
    # What the run printed before anything else.
    self.assertEqual(stored, json.JSONDecoder().raw_decode(output)[0])
    # The configuration's own numbers, but for what this test makes smaller.
    configuration = json.loads(
        (REPOSITORY / 'trainer' / 'configs' / f'{name}.json').read_text())
    for key in ('description', 'batch_size', 'dataset', 'max_steps', 'samples',
                'threads'):
      configuration.pop(key, None)
    self.assertEqual({key: stored[key] for key in configuration}, configuration)
    self.assertEqual(stored['max_steps'], STEPS)
    return json.loads((version / 'config.json').read_text())

  def check_config(self, config, architecture, name, dataset):
    provenance = {key: config.pop(key) for key in (
        'format_version', 'model', 'training_step', 'dataset', 'created',
        'trainer_version')}
    self.assertEqual(config, architecture)
    self.assertEqual(provenance['format_version'], 1)
    self.assertEqual(provenance['model'], name)
    self.assertEqual(provenance['training_step'], STEPS)
    self.assertEqual(provenance['dataset'], dataset)

  def with_server(self):
    """Stubs, a channel and their messages, of a server on what was trained."""
    images_pb, images_grpc, model_pb, models_grpc = generate_stubs(
        REPOSITORY / 'proto')
    server = ServerProcess(
        train_program.server, self.out,
        ['--cpu_threads=1', '--max_batch_size=1', '--warmup=ends'],
        start_limit_s=300)
    self.addCleanup(server.close)
    channel = grpc.insecure_channel(server.grpc_address)
    self.addCleanup(channel.close)
    return (images_pb, images_grpc.ImageGenerationStub(channel), model_pb,
            models_grpc.ModelServiceStub(channel))

  def check_served(self, name, size, channels):
    images_pb, images, model_pb, models = self.with_server()
    model = models.GetModel(model_pb.GetModelRequest(model=name), timeout=30)
    version, = model.model.versions
    if version.state == model_pb.MODEL_VERSION_STATE_REFUSED:
      # Loaded, warmed up and tried out like any other. What three steps have
      # taught may still be one colour, and that a server does not take.
      self.assertRegex(version.reason,
                       'canary: channel . has one value everywhere')
      return
    reply = images.Generate(
        images_pb.GenerateRequest(model=name, seed=7, count=1), timeout=240)
    self.assertEqual((reply.model, reply.version), (name, STEPS))
    picture = Image.open(io.BytesIO(reply.images[0].data))
    self.assertEqual(picture.size, (size, size))
    self.assertEqual(len(picture.getbands()), channels)

  def test_25_gaussians(self):
    name = '25_gaussians'
    output = self.train(name)
    self.check_config(
        self.check_run(name, output),
        {**PUBLISHED, 'image_size': 1, 'num_channels': 2,
         'num_channels_dae': 256, 'ch_mult': [1, 2, 2, 2], 'n_mlp': 4,
         'num_timesteps': 4, 'nz': 2, 'resblock_type': 'toy_mlp'},
        name, name)
    # Points are no images: a server refuses them, and says what they are.
    _, _, model_pb, models = self.with_server()
    model = models.GetModel(model_pb.GetModelRequest(model=name), timeout=30)
    version, = model.model.versions
    self.assertEqual(version.state, model_pb.MODEL_VERSION_STATE_REFUSED)
    self.assertIn('resblock_type', version.reason)

  def test_mnist(self):
    output = self.train('mnist', write_mnist, ['--samples=4'])
    self.check_config(
        self.check_run('mnist', output),
        {**PUBLISHED, 'image_size': 32, 'num_channels': 1,
         'num_channels_dae': 16, 'ch_mult': [1, 2, 2], 'num_res_blocks': 1,
         'nz': 32, 'z_emb_dim': 32, 'n_mlp': 2, 'num_timesteps': 4},
        'mnist', 'mnist')
    self.check_served('mnist', 32, 1)

  def test_stacked_mnist(self):
    name = 'stacked_mnist'
    output = self.train(name, write_stacked_mnist,
                        ['--batch_size=4', '--samples=1'])
    self.assertIn(f'discriminator {SMALL_DISCRIMINATOR},', output)
    self.check_config(self.check_run(name, output),
                      {**CIFAR10, 'num_channels_dae': 64}, name, name)
    self.check_served(name, 32, 3)

  def test_cifar10(self):
    output = self.train('cifar10', write_cifar10,
                        ['--batch_size=4', '--samples=1'])
    self.assertIn(f'generator {CIFAR10_GENERATOR} parameters, '
                  f'discriminator {SMALL_DISCRIMINATOR},', output)
    self.check_config(self.check_run('cifar10', output), CIFAR10, 'cifar10',
                      'cifar10')
    self.check_served('cifar10', 32, 3)

  def test_celebahq_256(self):
    name = 'celebahq_256'
    output = self.train(name, write_lmdb_of_raw_pixels,
                        ['--batch_size=1', '--samples=1'])
    self.assertIn(f'discriminator {LARGE_DISCRIMINATOR},', output)
    self.check_config(self.check_run(name, output), CELEBAHQ_256, name, 'lmdb')
    self.check_served(name, 256, 3)

  def test_lsun_church_256(self):
    name = 'lsun_church_256'
    output = self.train(
        name, write_image_folder,
        ['--dataset=image_folder', '--batch_size=1', '--samples=1'])
    self.assertIn(f'discriminator {LARGE_DISCRIMINATOR},', output)
    self.check_config(self.check_run(name, output),
                      {**CELEBAHQ_256, 'num_timesteps': 4}, name,
                      'image_folder')
    self.check_served(name, 256, 3)

  def test_no_configuration_is_left_out(self):
    names = {path.stem
             for path in (REPOSITORY / 'trainer' / 'configs').glob('*.json')}
    tested = {name.removeprefix('test_') for name in dir(self)
              if name.startswith('test_')}
    self.assertLessEqual(names, tested)


if __name__ == '__main__':
  train_program.main(__doc__)
