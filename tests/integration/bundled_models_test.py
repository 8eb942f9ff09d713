"""The bundled models can be trained again: the command in the card of each,
deploy/models/README.md, makes the first lines of the metrics.jsonl that lies
beside the model. Their first line names the command and the processor that they
are from; on one of the same kind all numbers are the same, bit for bit.

Run by CTest, or by hand, for 200 steps (a minute of a quiet core, a model):
  python bundled_models_test.py --trainer=build/release/trainer/ddgan-train \
      --model=mnist --data=MNIST_DIR

DDGAN_MNIST and DDGAN_CIFAR10 in the environment may also say where the data
are. Exit code 77 where nothing says it. Of an archive the first line has the
digest, and one of another is an error.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

MODELS = pathlib.Path(__file__).resolve().parents[2] / 'deploy/models'
# What a command names as --data, and the variable that says where it is.
DATA = {'MNIST_DIR': 'DDGAN_MNIST', 'CIFAR10_TRAIN': 'DDGAN_CIFAR10'}
# Depend on the clock, and are not kept.
TIMED = {'time', 'images_per_second', 'data_wait_share'}
# Of these another kind of processor makes a little of its own.
ROUNDED = {'d_loss_real', 'd_loss_fake', 'g_loss', 'r1', 'grad_norm_d',
           'grad_norm_g', 'ema_distance'}


def rounding(step, value):
  """How far from `value` another kind of processor may be after so many steps.

  It adds sums up in another order, and each step starts from what the one
  before has made of that, so the difference grows: with AVX2 in the place of
  AVX-512 it was 2e-7 of the number (or of 1) after a step, 4e-6 after ten and
  1e-5 after fifteen. What is allowed here grows tenfold every ten steps, and
  says little after fifty.
  """
  return 1e-5 * 10 ** (step / 10) * max(1, abs(value))


def processor():
  """Kind of this one."""
  fields = dict(re.findall(r'(?m)^(\w[\w ]*?)\s*: (.*)$',
                           pathlib.Path('/proc/cpuinfo').read_text()))
  return (f"{fields['vendor_id']} family {fields['cpu family']} "
          f"model {fields['model']}")


def run(trainer, command, data, steps):
  """The lines of the command's first steps, without what the clock says."""
  with tempfile.TemporaryDirectory(prefix='ddgan-bundled-') as folder:
    places = {'data': data, 'out': folder}
    arguments = [f'{flag}={places.get(flag[2:], value)}' for flag, value in
                 (word.split('=') for word in command.split()[1:])]
    subprocess.run(
        [trainer, *arguments, f'--max_steps={steps}', '--log_every=1',
         '--samples=0', '--progress=lines'], check=True)
    log, = pathlib.Path(folder).glob('.training-*/metrics.jsonl')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
  return {line['step']: {key: value for key, value in line.items()
                         if key not in TIMED} for line in lines}


def compare(kept, made, exact):
  """What is wrong with the lines that were made, a sentence each."""
  wrong = []
  for line in kept:
    step, other = line['step'], made.get(line['step'], {})
    if line.keys() != other.keys():
      wrong.append(f'step {step}: keys {sorted(other)}, kept {sorted(line)}')
      continue
    for key, value in line.items():
      allowed = 0 if exact or key not in ROUNDED else rounding(step, value)
      if not abs(other[key] - value) <= allowed:  # Of NaN, too.
        wrong.append(f'step {step}: {key} is {other[key]}, kept {value}')
  return wrong


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--trainer', required=True, type=pathlib.Path)
  parser.add_argument('--model', required=True)
  parser.add_argument('--data')
  options = parser.parse_args()

  log = (MODELS / options.model / 'metrics.jsonl').read_text().splitlines()
  source, *kept = map(json.loads, log)
  card = (MODELS / 'README.md').read_text().replace(' \\\n', ' ')
  if source['command'] not in re.sub(' +', ' ', card).splitlines():
    sys.exit(f"the card has no command {source['command']}")
  variable = DATA[re.search(r' --data=(\S+)', source['command'])[1]]
  data = options.data or os.environ.get(variable)
  if not data:
    print(f'skipped, {variable} does not say where the data are')
    sys.exit(77)  # What CTest is told to take for it.
  if 'data_sha256' in source:
    digest = hashlib.sha256(pathlib.Path(data).read_bytes()).hexdigest()
    if digest != source['data_sha256']:
      sys.exit(f"{data} has SHA-256 {digest}, not {source['data_sha256']}: "
               'other pictures than the model was trained on')

  steps = kept[-1]['step']
  exact = source['processor'] == processor()
  print(f"{len(kept)} lines of {steps} steps, from {source['processor']}; here "
        f"{processor()}: {'bit for bit' if exact else 'within rounding'}",
        flush=True)
  made = run(options.trainer.resolve(), source['command'], data, steps)
  equal = sum(made.get(line['step']) == line for line in kept)
  print(f'{equal} of {len(kept)} lines are the same, bit for bit')
  wrong = compare(kept, made, exact)
  if wrong:
    sys.exit('\n'.join(wrong[:20] + [f'{len(wrong)} numbers are wrong']))


if __name__ == '__main__':
  main()
