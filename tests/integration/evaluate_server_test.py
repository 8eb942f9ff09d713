"""ddgan-evaluate on what a running server makes: on CPUs the bytes of its own.

Run by CTest, or by hand:
  python evaluate_server_test.py --server=build/release/server/ddgan-server \
      --model_root=deploy/models \
      --evaluate=build/release/trainer/evaluation/ddgan-evaluate
"""

import argparse
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import unittest

from server_process import ServerProcess

MODEL = 'mnist/12060'
options = None  # Set by main().


def write_digits(folder):
  """40 pictures in MNIST's format, of no digits in particular."""
  draw = random.Random(1)
  for split in ('train', 't10k'):
    (folder / f'{split}-images-idx3-ubyte').write_bytes(
        struct.pack('>4I', 0x803, 40, 28, 28) + draw.randbytes(40 * 28 * 28))
    (folder / f'{split}-labels-idx1-ubyte').write_bytes(
        struct.pack('>2I', 0x801, 40) + bytes(i % 10 for i in range(40)))


class EvaluateServerTest(unittest.TestCase):

  def setUp(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)
    write_digits(self.folder)

  def run_quality(self, cache, *flags):
    """Exit code, standard output and standard error."""
    done = subprocess.run(
        [options.evaluate, 'quality', f'--data={self.folder}',
         '--dataset=mnist', f'--classifier={self.folder}/c',
         f'--cache={self.folder}/{cache}', '--seed=7', '--json', *flags],
        capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr

  def test_a_server_and_its_model_give_the_same_figures(self):
    with ServerProcess(options.server, options.model_root) as server:
      # 70: more than one call's worth.
      code, output, errors = self.run_quality(
          'of_server', f'--server={server.grpc_address}', f'--model={MODEL}',
          '--samples=70')
      self.assertEqual(code, 0, errors)
      by_server = json.loads(output)
      code, output, errors = self.run_quality(
          'of_server', f'--server={server.grpc_address}', '--model=mnist/1')
      self.assertEqual((code, output), (1, ''))
      self.assertIn(f'--server={server.grpc_address}: ', errors)
    code, output, errors = self.run_quality(
        'of_model', f'--model={options.model_root}/{MODEL}', '--samples=70')
    self.assertEqual(code, 0, errors)
    by_model = json.loads(output)
    self.assertEqual(by_server['version'], 12060)
    self.assertEqual(by_server['digest'], by_model['digest'])
    for key in ('samples', 'fd', 'kid', 'is', 'precision', 'recall', 'density',
                'coverage'):
      self.assertEqual(by_server[key], by_model[key], key)
    # The data set's features are of one name in both caches. A server's are not
    # taken for those of the model here: on a GPU they would be others.
    names = [{path.name for path in (self.folder / cache).iterdir()
              if path.suffix == '.features'}
             for cache in ('of_server', 'of_model')]
    self.assertEqual([len(each) for each in names], [2, 2])
    self.assertEqual(len(names[0] & names[1]), 1)

  def test_says_that_no_server_is_there(self):
    code, output, errors = self.run_quality(
        'cache', '--server=127.0.0.1:1', '--model=mnist')
    self.assertEqual((code, output), (1, ''))
    self.assertTrue(errors.startswith('ddgan-evaluate: --server=127.0.0.1:1: '),
                    errors)


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  for name in ('server', 'model_root', 'evaluate'):
    parser.add_argument(f'--{name}', required=True)
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
