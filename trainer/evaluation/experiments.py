"""Trains the models that the paper compares, measures them, and prints a table.

  experiments.py 25_gaussians --out=MODEL_ROOT
  experiments.py mnist --out=MODEL_ROOT --data=MNIST_DIR

A denoising diffusion GAN of 1, 2, 4 and 8 steps (of one step it is an ordinary
GAN), and a plain denoiser of 4 and of 1000: the same generator, the same data,
the same number of training images, seed 1, one thread each. The table is
Markdown on standard output; beside the models, MODEL_ROOT/EXPERIMENT.json has
its numbers. MODEL_ROOT/EXPERIMENT.hours says how long each training took.

What was interrupted goes on where it was when the same command runs again; what
is trained stays. --train=NAME,... trains only those, in that order, and prints no table.
"""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import time

FIGURES = pathlib.Path(__file__).resolve().parent / 'figures'
ROOT = FIGURES.parents[2]

# Model, flags of its training, samplers that it is measured with.
MODELS = [
    ('gan_t1', ['--num_timesteps=1'], ['ancestral']),
    ('gan_t2', ['--num_timesteps=2'], ['ancestral']),
    ('gan_t4', ['--num_timesteps=4'], ['ancestral']),
    ('gan_t8', ['--num_timesteps=8'], ['ancestral']),
    ('denoiser_t4', ['--objective=denoising', '--num_timesteps=4'],
     ['ancestral']),
    ('denoiser_t1000', ['--objective=denoising', '--num_timesteps=1000'],
     ['ancestral', 'ddim:50', 'pc']),
]
FLAGS = {name: flags for name, flags, _ in MODELS}
# The last epoch, counted from 0: 10,140 and 3,750 steps, a half and a third of
# those of the configurations, rank the models. Learning rates fall towards that
# epoch, so the digits' second half is at the lowest rate.
EPOCHS = {'25_gaussians': 51, 'mnist': 1}
# Its two million evaluations of a generator for digits would take twice as long
# as all the other rows together.
TOO_SLOW = {('mnist', 'pc')}
GAUSSIAN_SAMPLES = 2500
# Generated ones, and real ones: coverage compares sets of one size.
MNIST_SAMPLES = 1000
# Of each timed batch. The GANs have fewer, so they are timed whole.
TIMED_EVALUATIONS = 10


def parse(arguments):
  parser = argparse.ArgumentParser(
      description=__doc__, allow_abbrev=False,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('experiment', choices=sorted(EPOCHS))
  parser.add_argument('--out', required=True, type=pathlib.Path,
                      help='model root, created if it is not there')
  parser.add_argument('--data', help="MNIST's four files, gzipped or not")
  parser.add_argument('--build', default=ROOT / 'build' / 'release',
                      type=pathlib.Path, help='folder of the programs')
  parser.add_argument('--max_steps', type=int, default=0,
                      help='end each training after so many steps')
  parser.add_argument('--train', help='names of models, with commas')
  options = parser.parse_args(arguments)
  options.train = options.train.split(',') if options.train else list(FLAGS)
  for name in options.train:
    if name not in FLAGS:
      parser.error(f"--train has '{name}', must be of {', '.join(FLAGS)}")
  if options.experiment == 'mnist' and not options.data:
    parser.error('mnist needs --data')
  return options


def train(options, name, flags):
  """Trains one model to its end, from where it was."""
  command = [options.build / 'trainer' / 'ddgan-train',
             f'--config={options.experiment}', f'--out={options.out}',
             f'--model={name}', f'--num_epoch={EPOCHS[options.experiment]}',
             f'--max_steps={options.max_steps}', '--seed=1', '--threads=1', '--samples=0',
             '--progress=lines', *flags]
  if options.data:
    command.append(f'--data={options.data}')
  before = versions(options, name)
  begin = time.monotonic()
  with open(options.out / f'{name}.log', 'a', encoding='utf-8') as log:
    code = run_to_its_end(command, log)
  if versions(options, name) != before:  # Else it was at its end.
    with open(options.out / f'{options.experiment}.hours', 'a',
              encoding='utf-8') as hours:
      hours.write(f'{name} {(time.monotonic() - begin) / 3600:.2f}\n')
  if code != 0:
    sys.exit(f'training of {name} ended with {code}; see {log.name}')


def run_to_its_end(command, log):
  """The exit code. A signal is passed on, and the end of the trainer, which
  then saves and publishes, is waited for."""
  process = None
  early = []  # Signals that came before it.

  def pass_on(number, _):
    if process is None:
      early.append(number)
    else:
      process.send_signal(number)

  before = {number: signal.signal(number, pass_on)
            for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    # In a session of its own a Ctrl-C reaches it once, from here.
    process = subprocess.Popen(command, stdout=log, stderr=log,
                               start_new_session=True)
    for number in early:
      process.send_signal(number)
    return process.wait()
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


def versions(options, name):
  """The versions of a model, none before it is trained."""
  return {int(path.parent.name)
          for path in (options.out / name).glob('[1-9]*/manifest.json')}


def version_folder(options, name):
  """The last version of a model."""
  return options.out / name / str(max(versions(options, name)))


def evaluate(options, *arguments):
  program = options.build / 'trainer' / 'evaluation' / 'ddgan-evaluate'
  return json.loads(subprocess.run([program, *arguments, '--json'],
                                   stdout=subprocess.PIPE, check=True).stdout)


def measured(options):
  """(name, sampler) of all that is measured, in the table's order."""
  return [(name, sampler) for name, _, samplers in MODELS
          for sampler in samplers
          if (options.experiment, sampler) not in TOO_SLOW]


def compare_gaussians(options):
  rows = []
  for name, sampler in measured(options):
    begin = time.monotonic()
    rows.append(evaluate(
        options, 'modes', '25_gaussians', f'--samples={GAUSSIAN_SAMPLES}',
        f'--model={version_folder(options, name)}', f'--sampler={sampler}'))
    rows[-1]['seconds'] = time.monotonic() - begin
  (options.out / '25_gaussians.json').write_text(json.dumps(rows, indent=1))
  print('| model | version, digest | rule | evaluations | modes '
        '| points in a ring | KL to uniform, nats | seconds for all |')
  print('|---|---|---|--:|--:|--:|--:|--:|')
  for row in rows:
    kl = '' if row['kl'] is None else f"{row['kl']:.3f}"
    print(f"| {row['model']} | {row['version']}, {row['digest'][:12]} "
          f"| `{row['sampler']}` "
          f"| {row['evaluations']:,} "
          f"| {row['modes_covered']} of {row['modes']} "
          f"| {100 * row['high_quality_share']:.1f} % | {kl} "
          f"| {row['seconds']:.1f} |")


def compare_digits(options):
  report = options.out / 'mnist.json'
  report.write_text(json.dumps(evaluate(
      options, 'trilemma', f'--data={options.data}', '--features=digits',
      f'--samples={MNIST_SAMPLES}', f'--data_samples={MNIST_SAMPLES}',
      '--repeats=3',
      f'--timed_evaluations={TIMED_EVALUATIONS}',
      f'--cache={options.out / ".cache"}',
      *(f'{version_folder(options, name)}:{sampler}'
        for name, sampler in measured(options)))), encoding='utf-8')
  subprocess.run([sys.executable, FIGURES / 'draw.py', 'table', report],
                 check=True)


def main(arguments):
  options = parse(arguments)
  options.out.mkdir(parents=True, exist_ok=True)
  for name in options.train:
    train(options, name, FLAGS[name])
  if len(options.train) == len(MODELS):
    {'25_gaussians': compare_gaussians,
     'mnist': compare_digits}[options.experiment](options)


if __name__ == '__main__':
  main(sys.argv[1:])
