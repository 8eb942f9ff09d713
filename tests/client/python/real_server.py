"""What the tests against a real server share."""

import argparse
import sys
import time
import unittest

SEED = 2**64 - 3  # Tests all 64 bits.
# For what the test has caused to happen, on the slowest machine.
LIMIT_S = 120


def wait_until(condition, what):
  deadline = time.monotonic() + LIMIT_S
  while not condition():
    if time.monotonic() > deadline:
      raise AssertionError(f'{what}: not after {LIMIT_S} s')
    time.sleep(0.02)


def run_tests(description, options, **binaries):
  """Reads the command line into `options` and runs the tests of the program.

  `binaries`: further arguments that are needed, and what they are.
  """
  parser = argparse.ArgumentParser(description=description)
  parser.add_argument('--server', required=True, help='the ddgan-server binary')
  parser.add_argument('--model_root', required=True)
  for name, what in binaries.items():
    parser.add_argument(f'--{name}', required=True, help=what)
  _, rest = parser.parse_known_args(namespace=options)
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
