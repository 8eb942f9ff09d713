"""One step of the generator: ours, OpenVINO, torch.compile and eager PyTorch.

All with the same weights, inputs and number of threads, float32, in turns, for
batches of 1, 4 and 16. Before anything is timed, the outputs must agree.

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
      'LD_LIBRARY_PATH': str(DEPS / 'metrics' / 'cuda'),
      # Threads of one framework are not to spin while another is timed.
      'OMP_WAIT_POLICY': 'PASSIVE'})


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
    import openvino
    import torch
    from torch_generator import Generator, read_weights
    version = next((model_root / model).glob('*/config.json')).parent
    config = json.loads((version / 'config.json').read_text())
    self._ours = [
        str(pathlib.Path(options.build) / 'tests/benchmark/sampler_step'),
        str(model_root), model, str(batch), str(options.threads)]
    self._folder = str(folder)
    t = self.ours(0)[0]
    read = lambda name: torch.from_numpy(
        numpy.fromfile(folder / name, numpy.float32)).reshape(batch, -1)
    size = config['image_size']
    shape = (batch, config['num_channels'], size, size)
    inputs = (read('x').reshape(shape), torch.full((batch,), float(t)),
              read('z'))
    wanted = read('x0').reshape(shape)

    generator = Generator(config).eval()
    generator.load_state_dict(read_weights(version / 'model.safetensors'))
    converted = openvino.convert_model(
        generator, example_input=inputs,
        input=[tuple(value.shape) for value in inputs])
    compiled = openvino.Core().compile_model(converted, 'CPU', {
        'INFERENCE_NUM_THREADS': options.threads, 'NUM_STREAMS': 1,
        'INFERENCE_PRECISION_HINT': 'f32', 'PERFORMANCE_HINT': 'LATENCY'})
    arrays = [value.numpy() for value in inputs]
    generator = generator.to(memory_format=torch.channels_last)
    image = inputs[0].contiguous(memory_format=torch.channels_last)
    optimised = torch.compile(generator, dynamic=False)

    def no_grad(module):
      with torch.inference_mode():
        return module(image, *inputs[1:])

    self.calls = {
        'OpenVINO': lambda: compiled(arrays)[0],
        'torch.compile': lambda: no_grad(optimised).numpy(),
        'PyTorch eager': lambda: no_grad(generator).numpy(),
    }
    for name, call in self.calls.items():
      difference = float(numpy.abs(call() - wanted.numpy()).max())
      if not difference < TOLERANCE:
        sys.exit(f'{name}: differs from our output by {difference:.1e}, '
                 f'at most {TOLERANCE} is allowed')
      print(f'  {model}, batch {batch}: {name} differs from our output by '
            f'{difference:.1e}', file=sys.stderr, flush=True)

  def ours(self, seconds):
    """t, and the milliseconds of a step."""
    t, ms = subprocess.run([*self._ours, str(seconds), self._folder],
                           check=True, capture_output=True,
                           text=True).stdout.split()
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
          'turns, ms per step')
    print('| model | batch | ours | OpenVINO | torch.compile | PyTorch eager | '
          'best of them / ours |\n|---|---|---|---|---|---|---|', flush=True)
    for model, root in roots.items():
      if options.only not in (None, model):
        continue
      for batch in map(int, options.batches.split(',')):
        torch.compiler.reset()
        comparison = Comparison(options, root, model, batch, scratch)
        times = {'ours': []}
        for _ in range(options.rounds):
          times['ours'].append(comparison.ours(options.seconds)[1])
          for name, call in comparison.calls.items():
            times.setdefault(name, []).append(median_ms(call, options.seconds))
        ms = {name: statistics.median(all_) for name, all_ in times.items()}
        best = min(value for name, value in ms.items() if name != 'ours')
        print(f'| {model} | {batch} | '
              + ' | '.join(f'{value:.1f}' for value in ms.values())
              + f' | {best / ms["ours"]:.2f} |', flush=True)


if __name__ == '__main__':
  main()
