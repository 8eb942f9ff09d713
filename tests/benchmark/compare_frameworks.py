"""One step of the generator: ours, OpenVINO, torch.compile and eager PyTorch.

All with the same weights, inputs and number of threads, float32, in turns, for
batches of 1, 4 and 16. Before anything is timed, the outputs must agree: a
framework that fails, or whose output differs from ours, is left out of that
row and named on standard error, and the exit code is 1 at the end. The table on
standard output is Markdown.

Run, on an otherwise idle machine, after docker/install_dependencies.sh --tests:
  python3 tests/benchmark/compare_frameworks.py --build=build/release \
      [--threads=N] [--seconds=10] [--rounds=3] [--only=cifar10]

OpenVINO comes from PyPI into an environment of its own, ~/.cache/ddgan/
frameworks (0.3 GB). PyTorch is the one whose LibTorch we link: PyPI's wheel of
the same version brings CUDA's libraries, several GB that a CPU has no use for.
"""

import argparse
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPS = pathlib.Path(os.environ.get('DDGAN_DEPS_ROOT',
                                   pathlib.Path.home() / '.cache' / 'ddgan'))
ENVIRONMENT = DEPS / 'frameworks'
TORCH = DEPS / 'libtorch-2.11.0-cpu'
PACKAGES = [
    'openvino==2026.4.1', 'numpy==1.26.4',
    # What PyTorch needs:
    'filelock==3.18.0', 'fsspec==2025.3.2', 'jinja2==3.1.6', 'mpmath==1.3.0',
    'networkx==3.4.2', 'setuptools==78.1.1', 'sympy==1.14.0',
    'typing_extensions==4.16.0',
]
FRAMEWORKS = ('OpenVINO', 'torch.compile', 'PyTorch eager')
# Of an output in [-1, 1].
TOLERANCE = 1e-3


def enter_environment():
  """Goes on in the environment that has the packages."""
  if os.environ.get('DDGAN_FRAMEWORKS') == str(ENVIRONMENT):
    return
  installed = ENVIRONMENT / 'packages'
  if not installed.exists() or installed.read_text() != ' '.join(PACKAGES):
    subprocess.run([sys.executable, '-m', 'venv', '--clear', str(ENVIRONMENT)],
                   check=True)
    subprocess.run([str(ENVIRONMENT / 'bin' / 'pip'), 'install', '--quiet',
                    '--no-cache-dir', *PACKAGES], check=True)
    installed.write_text(' '.join(PACKAGES))
  python = str(ENVIRONMENT / 'bin' / 'python')
  os.execve(python, [python, *sys.argv], {
      **os.environ, 'DDGAN_FRAMEWORKS': str(ENVIRONMENT),
      'PYTHONPATH': str(TORCH), 'PYTHONDONTWRITEBYTECODE': '1',
      'LD_LIBRARY_PATH': str(DEPS / 'metrics' / 'cuda')})


def publish_random(root, name, **changes):
  """A version with random weights of the bundled configuration, changed."""
  import torch
  from torch_generator import Generator, write_weights
  config = json.loads(next(
      (ROOT / 'deploy/models/mnist').glob('*/config.json')).read_text())
  config.update(changes, model=name)
  torch.manual_seed(1)
  folder = root / name / '1'
  folder.mkdir(parents=True)
  (folder / 'config.json').write_text(json.dumps(config))
  write_weights(folder / 'model.safetensors', Generator(config).state_dict())
  files = {}
  for file in ('config.json', 'model.safetensors'):
    data = (folder / file).read_bytes()
    files[file] = {'sha256': hashlib.sha256(data).hexdigest(),
                   'size': len(data)}
  (folder / 'manifest.json').write_text(
      json.dumps({'format_version': 1, 'files': files}))
  return root


def median_ms(call, seconds):
  times = []
  end = time.perf_counter() + seconds
  while not times or time.perf_counter() < end:
    start = time.perf_counter()
    call()
    times.append((time.perf_counter() - start) * 1000)
  return statistics.median(times)


class Comparison:
  """Of one version at one batch."""

  def __init__(self, options, model_root, model, batch, folder):
    import numpy
    import torch
    from torch_generator import Generator, read_weights
    self._options = options
    self._version = next((model_root / model).glob('*/config.json')).parent
    config = json.loads((self._version / 'config.json').read_text())
    self._command = [
        str(pathlib.Path(options.build) / 'tests/benchmark/sampler_step'),
        str(model_root), model, str(batch), str(options.threads)]
    self._folder = str(folder)
    t = self.ours(0)[0]
    read = lambda name: torch.from_numpy(
        numpy.fromfile(folder / name, numpy.float32)).reshape(batch, -1)
    size = config['image_size']
    shape = (batch, config['num_channels'], size, size)
    self._inputs = (read('x').reshape(shape),
                    torch.full((batch,), float(t)), read('z'))
    wanted = read('x0').reshape(shape).numpy()
    self._generator = Generator(config).eval()
    self._generator.load_state_dict(
        read_weights(self._version / 'model.safetensors'))

    self.calls = {}  # By name; a framework that cannot take part is not in it.
    for name, prepare in zip(
        FRAMEWORKS, (self._openvino, self._compiled, self._eager)):
      where = f'{model}, batch {batch}: {name}'
      try:
        call = prepare()
        difference = float(numpy.abs(call() - wanted).max())
      except Exception as error:  # pylint: disable=broad-except
        # Whatever a framework raises, the others are still to be measured.
        print(f'  {where} failed: {type(error).__name__}: '
              + str(error).strip().partition('\n')[0],
              file=sys.stderr, flush=True)
        continue
      if not difference < TOLERANCE:
        print(f'  {where} differs from our output by {difference:.1e}, at '
              f'most {TOLERANCE} is allowed', file=sys.stderr, flush=True)
        continue
      print(f'  {where} differs from our output by {difference:.1e}',
            file=sys.stderr, flush=True)
      self.calls[name] = call

  def _openvino(self):
    import openvino
    converted = openvino.convert_model(
        self._generator, example_input=self._inputs,
        input=[tuple(value.shape) for value in self._inputs])
    compiled = openvino.Core().compile_model(converted, 'CPU', {
        'INFERENCE_NUM_THREADS': self._options.threads, 'NUM_STREAMS': 1,
        'INFERENCE_PRECISION_HINT': 'f32', 'PERFORMANCE_HINT': 'LATENCY'})
    arrays = [value.numpy() for value in self._inputs]
    return lambda: compiled(arrays)[0]

  def _eager(self):
    import torch
    generator = self._generator.to(memory_format=torch.channels_last)
    image = self._inputs[0].contiguous(memory_format=torch.channels_last)
    return self._without_gradients(generator, image)

  def _compiled(self):
    import torch
    generator = self._generator.to(memory_format=torch.channels_last)
    image = self._inputs[0].contiguous(memory_format=torch.channels_last)
    return self._without_gradients(torch.compile(generator, dynamic=False),
                                   image)

  def _without_gradients(self, module, image):
    import torch
    def call():
      with torch.inference_mode():
        return module(image, *self._inputs[1:]).numpy()
    return call

  def ours(self, seconds):
    """t, and the milliseconds of a step."""
    ran = subprocess.run([*self._command, str(seconds), self._folder],
                         capture_output=True, text=True, check=False)
    if ran.returncode != 0:
      sys.exit(f'{self._command[0]} failed: {ran.stderr.strip()}')
    t, ms = ran.stdout.split()
    return int(t), float(ms)


def main():
  parser = argparse.ArgumentParser(description=__doc__,
                                   formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument('--build', default='build/release')
  parser.add_argument('--threads', type=int,
                      default=len(os.sched_getaffinity(0)))
  parser.add_argument('--seconds', type=float, default=10,
                      help='of each measurement of a round')
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--batches', default='1,4,16')
  parser.add_argument('--only', choices=('cifar10', 'mnist'))
  options = parser.parse_args()
  enter_environment()
  import torch
  torch.set_num_threads(options.threads)

  with tempfile.TemporaryDirectory() as scratch:
    scratch = pathlib.Path(scratch)
    roots = {
        'cifar10': publish_random(
            scratch / 'models', 'cifar10', num_channels=3,
            num_channels_dae=128, ch_mult=[1, 2, 2, 2], num_res_blocks=2,
            nz=100, z_emb_dim=256, n_mlp=4),
        'mnist': ROOT / 'deploy' / 'models',
    }
    print(f'{options.threads} threads, medians of {options.rounds} rounds in '
          'turns, ms per step\n')
    print(f'| model | batch | ours | {" | ".join(FRAMEWORKS)} | '
          'best of them / ours |\n|---|---|---|---|---|---|---|', flush=True)
    complete = True
    for model, root in roots.items():
      if options.only not in (None, model):
        continue
      for batch in map(int, options.batches.split(',')):
        torch.compiler.reset()
        comparison = Comparison(options, root, model, batch, scratch)
        times = {name: [] for name in ('ours', *FRAMEWORKS)}
        for _ in range(options.rounds):
          times['ours'].append(comparison.ours(options.seconds)[1])
          for name, call in comparison.calls.items():
            times[name].append(median_ms(call, options.seconds))
        ms = {name: statistics.median(all_)
              for name, all_ in times.items() if all_}
        complete = complete and len(ms) == len(times)
        others = [value for name, value in ms.items() if name != 'ours']
        cells = [f'{ms[name]:.1f}' if name in ms else 'failed'
                 for name in times]
        lead = f'{min(others) / ms["ours"]:.2f}' if others else ''
        print(f'| {model} | {batch} | {" | ".join(cells)} | {lead} |',
              flush=True)
  return 0 if complete else 1


if __name__ == '__main__':
  sys.exit(main())
