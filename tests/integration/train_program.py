"""The programs that a test of the trainer runs, and how such a test starts."""

import argparse
import pathlib
import sys
import unittest

# Of the binaries; set by main().
path = None
server = None  # If the test was told.


def main(description):
  """Runs the tests of the script that calls this."""
  global path, server
  parser = argparse.ArgumentParser(description=description)
  parser.add_argument('--trainer', required=True, type=pathlib.Path,
                      help='the ddgan-train binary')
  parser.add_argument('--server', type=pathlib.Path,
                      help='the ddgan-server binary, for tests that serve')
  options, rest = parser.parse_known_args()
  path = options.trainer.resolve()
  server = options.server and options.server.resolve()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
