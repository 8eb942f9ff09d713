"""A training step on one thread: ours, torch.compile and eager PyTorch.

All with the same networks and batch, float32, CPU time, in turns. PyTorch's
step is checked first: on the initial weights, images and random numbers of
tests/golden/train_tiny.safetensors its losses must be the reference's, step for
step. Gradients of gradients do not pass through torch.compile: the
discriminator's step on real images is eager where it has R1.

Run, on an otherwise idle machine, after docker/install_dependencies.sh --tests:
  python3 tests/benchmark/compare_training.py --build=build/release \
      [--old=TRAINING_STEP_BENCHMARK] [--rounds=5] [--cases=mnist:32,small:64]

Cases are CONFIGURATION:BATCH; `small` is Stacked-MNIST with the networks of
trainer/README.md. --old is a second training_step_benchmark, of another
version. PyTorch is found as in compare_frameworks.py.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

from compare_frameworks import ROOT, enter_environment

SMALL = {'num_channels_dae': 16, 'ch_mult': [1, 2, 2], 'num_res_blocks': 1,
         'nz': 32, 'z_emb_dim': 32, 'n_mlp': 2, 'ngf': 8, 't_emb_dim': 64}
GOLDEN = ROOT / 'tests' / 'golden' / 'train_tiny.safetensors'


def read_golden():
  """Arrays by name, and the metadata. Numbers of steps stay whole."""
  import numpy
  import struct
  import torch
  with open(GOLDEN, 'rb') as file:
    header = json.loads(file.read(struct.unpack('<Q', file.read(8))[0]))
    data = file.read()
  types = {'F32': '<f4', 'F64': '<f8', 'I64': '<i8'}
  arrays = {}
  for name, entry in header.items():
    if name != '__metadata__':
      first, last = entry['data_offsets']
      values = numpy.frombuffer(data[first:last], types[entry['dtype']]).copy()
      arrays[name] = torch.from_numpy(values).reshape(entry['shape'])
  return arrays, header['__metadata__']


def check_against_reference():
  from torch_generator import Generator
  from torch_training import Discriminator, Training
  arrays, metadata = read_golden()
  config = json.loads(metadata['args'])
  generator, discriminator = Generator(config), Discriminator(config)
  for letter, module in (('G', generator), ('D', discriminator)):
    prefix = f'init.{letter}.'
    module.load_state_dict({name[len(prefix):]: value
                            for name, value in arrays.items()
                            if name.startswith(prefix)})
  training = Training(config, generator, discriminator)
  for step in range(3):  # The rates change with the fourth.
    at = f'step{step}.'
    half = lambda letter: {
        key: arrays[f'{at}draw.{key}_{letter}']
        for key in ('t', 'noise_step', 'noise_qsample', 'z', 'noise_post')}
    losses = training.step(arrays[at + 'x'], half('D'), half('G'),
                           penalise=step % config['lazy_reg'] == 0)
    for name, loss in losses.items():
      wanted = float(arrays[at + name])
      if abs(loss - wanted) > 1e-4 * wanted:
        sys.exit(f"step {step}: PyTorch's {name} is {loss}, "
                 f"the reference's {wanted}")
  print("PyTorch's losses are the reference's for 3 steps", file=sys.stderr)


class PyTorch:
  """Steps of one configuration on random images."""

  def __init__(self, config, batch, compiled):
    import torch
    from torch_generator import Generator
    from torch_training import Discriminator, Training
    torch.manual_seed(1)
    nets = [kind(config).to(memory_format=torch.channels_last)
            for kind in (Generator, Discriminator)]
    forms = [torch.compile(net, dynamic=False) for net in nets] if compiled \
        else nets
    self._training = Training(config, *nets, *forms)
    self._lazy_reg = config['lazy_reg']
    size, channels = config['image_size'], config['num_channels']
    image = lambda: torch.randn(batch, channels, size, size).contiguous(
        memory_format=torch.channels_last)
    self._images = image().clamp(-1, 1)
    half = lambda: {'t': torch.randint(config['num_timesteps'], (batch,)),
                    'noise_step': image(), 'noise_qsample': image(),
                    'noise_post': image(), 'z': torch.randn(batch, config['nz'])}
    self._draws = half(), half()
    self._batch = batch
    self.images_per_second(2)

  def _seconds(self, penalise, steps):
    times = []
    for _ in range(steps):
      start = time.process_time()
      self._training.step(self._images, *self._draws, penalise)
      times.append(time.process_time() - start)
    return min(times)

  def images_per_second(self, steps):
    """Of the shortest step with R1 and without, in their proportion."""
    share = 1 / self._lazy_reg
    return self._batch / (share * self._seconds(True, steps)
                          + (1 - share) * self._seconds(False, steps))


def ours(binary, name, changes, batch, rounds):
  command = [str(binary), f'--config={name}', f'--batch_size={batch}',
             f'--rounds={rounds}']
  if changes:
    text = lambda value: '/'.join(map(str, value)) \
        if isinstance(value, list) else str(value)
    command.append('--options=' + ','.join(
        f'{key}={text(value)}' for key, value in changes.items()))
  line = subprocess.run(command, check=True, capture_output=True,
                        text=True).stdout.splitlines()[-1]
  return float(line.split()[3])


def main():
  parser = argparse.ArgumentParser(description=__doc__,
                                   formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument('--build', default='build/release')
  parser.add_argument('--old')
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--steps', type=int, default=3,
                      help='of each kind, in each round')
  parser.add_argument('--cases', default='mnist:32,mnist:64,small:32,small:64')
  parser.add_argument('--without_compile', action='store_true')
  options = parser.parse_args()
  enter_environment()
  import torch
  torch.set_num_threads(1)
  torch.set_flush_denormal(True)
  check_against_reference()

  binary = pathlib.Path(options.build) / \
      'tests/benchmark/training_step_benchmark'
  print('images/s on one thread, CPU time, medians of '
        f'{options.rounds} rounds in turns; ratios are medians of the rounds')
  header = None
  for case in options.cases.split(','):
    name, batch = case.split(':')
    batch = int(batch)
    changes = SMALL if name == 'small' else {}
    name = 'stacked_mnist' if name == 'small' else name
    config = json.loads(
        (ROOT / f'trainer/configs/{name}.json').read_text())
    config.update(changes)
    torch.compiler.reset()
    runs = {'ours': lambda: ours(binary, name, changes, batch, options.steps)}
    if options.old:
      runs['before'] = lambda: ours(options.old, name, changes, batch,
                                    options.steps)
    eager = PyTorch(config, batch, compiled=False)
    runs['PyTorch eager'] = lambda: eager.images_per_second(options.steps)
    if not options.without_compile:
      compiled = PyTorch(config, batch, compiled=True)
      runs['torch.compile'] = lambda: compiled.images_per_second(options.steps)
    speeds = {of: [] for of in runs}
    for _ in range(options.rounds):
      for of, run in runs.items():
        speeds[of].append(run())
    if header is None:
      header = ['networks', 'batch', *runs,
                *(f'ours / {of}' for of in list(runs)[1:])]
      print('| ' + ' | '.join(header) + ' |\n' + '|---' * len(header) + '|')
    ratios = [statistics.median(a / b for a, b in zip(speeds['ours'],
                                                      speeds[of]))
              for of in list(runs)[1:]]
    print(f'| {case.split(":")[0]} | {batch} | '
          + ' | '.join(f'{statistics.median(all_):.1f}'
                       for all_ in speeds.values()) + ' | '
          + ' | '.join(f'{ratio:.2f}' for ratio in ratios) + ' |', flush=True)


if __name__ == '__main__':
  main()
