"""The ddgan-train that a test of the trainer runs, and how such a test starts."""

import argparse
import pathlib
import sys
import unittest

path = None  # Of the binary; set by main().


def main(description):
  """Runs the tests of the script that calls this."""
  global path
  parser = argparse.ArgumentParser(description=description)
  parser.add_argument('--trainer', required=True, type=pathlib.Path,
                      help='the ddgan-train binary')
  options, rest = parser.parse_known_args()
  path = options.trainer.resolve()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
