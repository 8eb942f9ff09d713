"""deploy/train_and_serve.sh with the real programs: pictures of one seed, one for
each version that went live, and a page that shows them all.

  python train_and_serve_test.py --build=build/release
"""

import argparse
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / 'deploy/train_and_serve.sh'
# A network so small that a version takes no second.
TINY = ('--num_channels_dae=8', '--ch_mult=1,1', '--num_res_blocks=1',
        '--nz=4', '--z_emb_dim=8', '--n_mlp=1', '--ngf=2', '--t_emb_dim=8',
        '--batch_size=4', '--samples=0', '--publish_every=5', '--threads=1',
        '--keep_published=0')
LIMIT_S = 300

build = None  # Folder of the programs; set by main().


class TrainAndServeTest(unittest.TestCase):

  def setUp(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-learning-')
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)
    pixels = random.Random(1).randbytes(64 * 28 * 28)
    (self.folder / 'train-images-idx3-ubyte').write_bytes(
        struct.pack('>IIII', 0x803, 64, 28, 28) + pixels)

  def run_script(self, *arguments):
    return subprocess.run([SCRIPT, *arguments], text=True, timeout=LIMIT_S,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)

  def learn(self, *arguments, data=None):
    return self.run_script(f'--build={build}', f'--data={data or self.folder}',
                           f'--out={self.folder / "out"}', *arguments)

  def test_every_version_that_is_live_gets_a_picture_on_the_page(self):
    result = self.learn('--versions=2', '--', *TINY)
    self.assertEqual(result.returncode, 0, result.stdout)
    told = re.findall(r'^Version (\d+) is live: (.*)$', result.stdout, re.M)
    self.assertEqual(len(told), 2, result.stdout)
    page = (self.folder / 'out/index.html').read_text()
    shown = re.findall(r'src="pictures/(\d+)\.png"', page)
    self.assertEqual(shown, [version for version, _ in reversed(told)])
    for _, picture in told:
      self.assertTrue(pathlib.Path(picture).read_bytes().startswith(b'\x89PNG'))
    # It was asked to stop, and did so by itself.
    self.assertIn('stopped after step',
                  (self.folder / 'out/trainer.log').read_text())

  def test_a_training_that_fails_is_told_with_its_reason(self):
    result = self.learn(data=self.folder / 'nowhere')
    self.assertEqual(result.returncode, 1, result.stdout)
    self.assertIn('nowhere', result.stdout)

  def test_a_training_that_is_complete_ends_it(self):
    result = self.learn('--', *TINY, '--max_steps=40')
    self.assertEqual(result.returncode, 0, result.stdout)
    self.assertIn('the training is complete', result.stdout)
    # Its last version, which goes live when the trainer has ended, is shown.
    self.assertTrue((self.folder / 'out/pictures/40.png').exists())
    self.assertIn('Version 40 is live', result.stdout)

  def test_what_is_wrong_with_an_argument_is_told(self):
    for argument, sentence in (('--versions=0', 'is not a number from 1 on'),
                               ('--data=', "unknown argument '--data='"),
                               ('--versions=2', '--data=DIR is missing')):
      result = self.run_script(argument)
      self.assertEqual(result.returncode, 2, result.stdout)
      self.assertIn(sentence, result.stdout)


if __name__ == '__main__':
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--build', required=True, type=pathlib.Path)
  options, rest = parser.parse_known_args()
  build = options.build.resolve()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
