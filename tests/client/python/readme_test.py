"""Runs the Python of client/python/README.md, block after block, as a notebook
does, against a real server on the bundled model.

Run by CTest, or by hand, with the package installed and tests/integration in
PYTHONPATH:
  python readme_test.py --server=build/release/server/ddgan-server \
      --repository=.

With --images=FOLDER it also writes the pictures that the page shows.
"""

import argparse
import ast
import asyncio
import inspect
import os
import pathlib
import re
import sys
import tempfile
import unittest

import ddgan
from server_process import ServerProcess

options = None  # Set by main().


def python_blocks(text):
  return re.findall(r'^```python\n(.*?)^```$', text, re.DOTALL | re.MULTILINE)


async def run_cells(blocks, cells):
  """Each block in the same namespace; it may await at its top level."""
  for block in blocks:
    code = compile(block, 'README.md', 'exec',
                   flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, cells)
    if inspect.iscoroutine(result):
      await result


class ReadmeTest(unittest.TestCase):

  def test_its_python_runs_as_it_stands(self):
    blocks = python_blocks(
        (options.repository / 'client/python/README.md').read_text())
    self.assertGreater(len(blocks), 5)
    here = os.getcwd()
    self.addCleanup(os.chdir, here)
    with tempfile.TemporaryDirectory() as folder, \
         ServerProcess(options.server,
                       options.repository / 'deploy/models') as server:
      os.chdir(folder)
      cells = {}
      # A block for another server stands for itself: it is read, not run.
      here, elsewhere = [], []
      for block in blocks:
        (elsewhere if 'example.org' in block else here).append(
            block.replace('localhost:50051', server.grpc_address))
      for block in elsewhere:
        compile(block, 'README.md', 'exec',
                flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
      asyncio.run(run_cells(here, cells))
      self.assertEqual(len(cells['images']), 4)
      self.assertTrue(pathlib.Path('four.png').exists())
      if options.images:
        self.draw(server.grpc_address)

  def draw(self, address):
    with ddgan.Client(address, model='mnist') as client:
      four = client.generate(4, seed=1)
      four.grid(columns=4, scale=3).save(options.images / 'four.png',
                                         optimize=True)
      pictures = []
      while len(pictures) < 16:  # Until no preview was overtaken.
        pictures = [event for event in client.stream(4, seed=1, previews=True)
                    if isinstance(event, ddgan.Picture)]
      pictures.sort(key=lambda picture: (-getattr(picture, 'steps_left', 0),
                                         picture.index))
      strip = ddgan.Generation(pictures, 4, 4, four.timings)
      strip.grid(columns=4, scale=3).save(options.images / 'steps.png',
                                          optimize=True)


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True, type=os.path.abspath,
                      help='the ddgan-server binary')
  parser.add_argument('--repository', required=True,
                      type=lambda path: pathlib.Path(path).resolve())
  parser.add_argument('--images',
                      type=lambda path: pathlib.Path(path).resolve(),
                      help='write the pictures of the page into this folder')
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
