"""The real ddgan-train in several processes, and killed: two processes make
the run of one, a process that dies ends the others, and a run that was killed
goes on as if it had not been.

Run by CTest, or by hand:
  python train_processes_test.py --trainer=build/release/trainer/ddgan-train
"""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

import numpy
import safetensors.numpy
import train_program
from loopback_ports import free_port

# A small network on 64 made-up digits; 8 images a step, so that each of two
# processes has one whole group of the minibatch standard deviation.
FLAGS = ('--dataset=mnist', '--num_channels_dae=8', '--ch_mult=1,1',
         '--num_res_blocks=1', '--attn_resolutions=16', '--nz=4',
         '--z_emb_dim=8', '--n_mlp=1', '--ngf=2', '--t_emb_dim=8',
         '--batch_size=8', '--lazy_reg=2', '--log_every=1', '--samples=0',
         '--threads=1', '--progress=lines')


def write_digits(folder, count=64):
  folder.mkdir(exist_ok=True)
  pixels = random.Random(1).randbytes(count * 28 * 28)
  (folder / 'train-images-idx3-ubyte').write_bytes(
      struct.pack('>IIII', 0x803, count, 28, 28) + pixels)


def gray_png(size):
  """A PNG of so many pixels a side."""
  def chunk(kind, data):
    return (struct.pack('>I', len(data)) + kind + data +
            struct.pack('>I', zlib.crc32(kind + data)))
  return (b'\x89PNG\r\n\x1a\n' +
          chunk(b'IHDR', struct.pack('>IIBBBBB', size, size, 8, 0, 0, 0, 0)) +
          chunk(b'IDAT', zlib.compress((b'\0' + bytes(size)) * size)) +
          chunk(b'IEND', b''))


class TrainProcessesTest(unittest.TestCase):

  def setUp(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-train-')
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)
    write_digits(self.folder)

  def start(self, out, *flags, rank=0, size=1, port=0, cwd=None):
    """A process, which `flags`, told last, may tell something else."""
    environment = dict(os.environ)
    if size > 1:
      environment.update(RANK=str(rank), WORLD_SIZE=str(size),
                         LOCAL_RANK=str(rank), MASTER_ADDR='127.0.0.1',
                         MASTER_PORT=str(port))
    process = subprocess.Popen(
        [train_program.path, *FLAGS, f'--data={self.folder}',
         f'--out={self.folder / out}', *flags], cwd=cwd or self.folder,
        env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    self.addCleanup(process.kill)
    return process

  def finish(self, *processes, code=0):
    """What each wrote on stderr."""
    written = []
    for process in processes:
      output, errors = process.communicate(timeout=120)
      self.assertEqual(process.returncode, code, output + errors)
      written.append(errors)
    return written

  def start_two(self, out, *flags, second=(), second_cwd=None):
    """Two processes of one run; the other may be told more, or elsewhere."""
    port = free_port()
    return (self.start(out, *flags, rank=0, size=2, port=port),
            self.start(out, *flags, *second, rank=1, size=2, port=port,
                       cwd=second_cwd))

  def whole_log(self, out):
    """Lines of metrics.jsonl."""
    text = (self.folder / out / '.training-mnist/metrics.jsonl').read_text()
    return [json.loads(line) for line in text.splitlines()]

  def log(self, out):
    """The same without what depends on the clock."""
    lines = self.whole_log(out)
    for line in lines:
      for key in ('time', 'images_per_second', 'data_wait_share',
                  'gradient_wait_share'):
        line.pop(key, None)
    return lines

  def weights(self, out, step):
    """Both networks' weights of the state after `step`, and the average."""
    state = safetensors.numpy.load_file(
        self.folder / out / f'.training-mnist/state_{step}.safetensors')
    # The generator's parameters lie one after the other, as in the version.
    version = (self.folder / out / f'mnist/{step}/model.safetensors')
    data = version.read_bytes()
    header = json.loads(data[8:8 + int.from_bytes(data[:8], 'little')])
    del header['__metadata__']
    # A denoiser has none.
    weights = {'discriminator': state[name] for name in state
               if name == 'discriminator.values'}
    for name, tensor in header.items():
      part = slice(*(offset // 4 for offset in tensor['data_offsets']))
      weights[f'generator {name}'] = state['generator.values'][part]
      weights[f'average {name}'] = state['generator.ema'][part]
    return weights

  def test_two_processes_make_the_run_of_one(self):
    self.finish(self.start('one', '--max_steps=20'))
    self.finish(*self.start_two('two', '--max_steps=20'))
    for line in self.whole_log('two'):
      self.assertGreater(line['gradient_wait_share'], 0)
    one, two = (self.weights(out, 20) for out in ('one', 'two'))
    for name, values in one.items():
      # Softmax does not see an attention key's bias, so its true gradient is
      # zero, and Adam makes steps of what rounding leaves.
      if not name.endswith('NIN_1.b'):
        self.assertLess(numpy.abs(values - two[name]).max(), 1e-5, name)
    one, two = (self.log(out) for out in ('one', 'two'))
    self.assertEqual(len(one), 20)
    for line, other in zip(one, two, strict=True):
      self.assertEqual(line.keys(), other.keys())
      for key in ('d_loss_real', 'd_loss_fake', 'g_loss', 'r1'):
        self.assertEqual(key in line, key != 'r1' or line['step'] % 2 == 1)
        if key in line:
          self.assertAlmostEqual(line[key], other[key], delta=1e-5,
                                 msg=f'{key} of step {line["step"]}')

  def test_two_processes_make_the_denoiser_of_one(self):
    flags = ('--max_steps=20', '--objective=denoising', '--num_timesteps=100',
             '--sampler=ddim:4')
    self.finish(self.start('one', *flags))
    self.finish(*self.start_two('two', *flags))
    one, two = (self.weights(out, 20) for out in ('one', 'two'))
    self.assertNotIn('discriminator', one)
    for name, values in one.items():
      if not name.endswith('NIN_1.b'):
        self.assertLess(numpy.abs(values - two[name]).max(), 1e-5, name)
    for line, other in zip(self.log('one'), self.log('two'), strict=True):
      self.assertEqual(line.keys(), other.keys())
      self.assertNotIn('d_loss_real', line)
      self.assertAlmostEqual(line['g_loss'], other['g_loss'], delta=1e-5)

  def test_every_process_ends_as_the_first_does(self):
    in_the_way = self.folder / 'out' / 'mnist'
    in_the_way.parent.mkdir()
    in_the_way.write_text('no folder')
    _, errors = self.finish(*self.start_two('out', '--max_steps=2'), code=1)
    self.assertIn('rank 0 could not end the run as it should', errors)
    in_the_way.unlink()
    first, second = self.start_two('out', '--max_steps=3')
    self.finish(second)
    # Before it ended, the first one had done all that belongs to an end.
    self.assertTrue((in_the_way / '3' / 'manifest.json').exists())
    self.finish(first)

  def test_processes_that_were_told_different_things_do_not_begin(self):
    write_digits(self.folder / 'fewer', count=32)
    for second, difference in (
        ('--lr_g=1e-5', 'another configuration'),
        ('--log_every=2', 'another --log_every'),
        (f'--data={self.folder / "fewer"}', 'a data set of another size')):
      with self.subTest(second):
        for errors in self.finish(
            *self.start_two('out', '--max_steps=2', second=(second,)), code=1):
          self.assertEqual(
              errors, f'ddgan-train: process group: rank 1 has {difference} '
              'than rank 0: start all with the same options and data\n')

  def test_all_processes_begin_with_the_weights_of_the_first(self):
    self.finish(self.start('out', '--max_steps=2'))
    flags = ('--init_from=out/mnist/2', '--model=more', '--max_steps=3',
             '--no_lr_decay')
    self.finish(self.start('one', *flags))
    # The other finds no such version where it is.
    (self.folder / 'elsewhere').mkdir()
    self.finish(*self.start_two('two', *flags,
                                second_cwd=self.folder / 'elsewhere'))
    one, two = (
        safetensors.numpy.load_file(
            self.folder / out / '.training-more/state_3.safetensors')
        for out in ('one', 'two'))
    numpy.testing.assert_allclose(one['discriminator.values'],
                                  two['discriminator.values'], atol=1e-5)

  def test_damage_that_another_process_met_is_named_and_counted(self):
    pictures = self.folder / 'pictures'
    pictures.mkdir()
    for i in range(9):
      (pictures / f'{i}.png').write_bytes(gray_png(32))
    (pictures / '8.png').write_bytes(gray_png(32)[:-30])
    # An epoch is one batch, in another order each time, so that both meet it.
    errors = self.finish(*self.start_two(
        'out', '--dataset=image_folder', f'--data={pictures}',
        '--image_size=32', '--num_channels=1', '--model=mnist',
        '--max_steps=30'))
    self.assertEqual(errors[0], '')
    self.assertRegex(errors[1], r'\Addgan-train: rank 1: damaged, another takes '
                     r'its place: .*8\.png.*\n\Z')
    self.assertEqual(self.log('out')[-1]['damaged_images'], 2)

  def test_a_process_that_cannot_read_ends_all_with_the_state_saved(self):
    pictures = self.folder / 'pictures'
    pictures.mkdir()
    for i in range(64):
      (pictures / f'{i}.png').write_bytes(gray_png(32))
    flags = ('--dataset=image_folder', '--image_size=32', '--num_channels=1',
             '--model=mnist', '--max_steps=100000')
    other = self.folder / 'other'
    shutil.copytree(pictures, other)
    first, second = self.start_two('out', *flags, f'--data={pictures}',
                                   second=(f'--data={other}',))
    for line in first.stdout:
      if line.startswith('step 3/'):
        break
    shutil.rmtree(other)
    first_errors, second_errors = self.finish(first, second, code=1)
    self.assertIn('another process cannot read its images', first_errors)
    self.assertIn(str(other), second_errors)
    last = self.log('out')[-1]['step']
    state = self.folder / f'out/.training-mnist/state_{last}.safetensors'
    self.assertTrue(state.exists())

  def test_a_process_that_dies_ends_the_other_and_a_restart_resumes(self):
    flags = ('--max_steps=100000', '--save_every=1')
    first, second = self.start_two('out', *flags)
    for line in first.stdout:
      if line.startswith('step 3/'):
        break
    second.kill()
    # Long before --distributed_timeout_s: a closed connection is seen at once.
    output, errors = first.communicate(timeout=60)
    self.assertEqual(first.returncode, 1, output + errors)
    self.assertIn('process group', errors)
    resumed = self.start('out', '--max_steps=100000')
    for line in resumed.stdout:
      if line.startswith('resumed after step '):
        break
    else:
      self.fail('did not resume')
    # A stop is no end: 128 + SIGTERM, so that a Job starts the run again.
    resumed.send_signal(signal.SIGTERM)
    self.finish(resumed, code=143)

  def test_ps_and_killall_know_it_by_its_name(self):
    process = self.start('out')
    process.stdout.readline()
    name = pathlib.Path(f'/proc/{process.pid}/comm').read_text()
    self.assertEqual(name, 'ddgan-train\n')

  def test_a_killed_run_goes_on_bit_for_bit(self):
    steps = 40
    self.finish(self.start('whole', f'--max_steps={steps}'))
    seed = random.randrange(1 << 30)
    print(f'seed {seed}', file=sys.stderr)
    chance = random.Random(seed)
    # The last is killed after the state of step 4 was saved, and each long
    # before it would have ended.
    for kill_at in sorted(chance.sample(range(3, steps // 2), 3)):
      process = self.start('broken', f'--max_steps={steps}', '--save_every=4')
      for line in process.stdout:
        step = re.match(r'step (\d+)/', line)
        if step and int(step[1]) >= kill_at:
          break
      process.kill()
      process.communicate(timeout=60)
      self.assertEqual(process.returncode, -signal.SIGKILL)
    last = self.start('broken', f'--max_steps={steps}', '--save_every=4')
    output, errors = last.communicate(timeout=120)
    self.assertEqual(last.returncode, 0, output + errors)
    self.assertIn('resumed after step ', output)
    self.assertEqual(self.log('broken'), self.log('whole'))


if __name__ == '__main__':
  train_program.main(__doc__)
