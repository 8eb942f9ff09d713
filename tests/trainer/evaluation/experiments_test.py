"""experiments.py with a trainer that only waits for a signal."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Says its process number, then waits, and publishes version 7 at the signal.
TRAINER = '''#!/usr/bin/env python3
import os, pathlib, signal, sys
flags = dict(word[2:].split('=') for word in sys.argv[1:])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
print('ready', flush=True, file=open(os.environ['READY'], 'w'))
number = signal.sigwait({signal.SIGINT, signal.SIGTERM})
version = pathlib.Path(flags['out'], flags['model'], '7')
version.mkdir()
(version / 'manifest.json').write_text('{}')
sys.exit(128 + number)
'''


class ExperimentsTest(unittest.TestCase):

  def setUp(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)
    trainer = self.folder / 'build' / 'trainer' / 'ddgan-train'
    trainer.parent.mkdir(parents=True)
    trainer.write_text(TRAINER)
    trainer.chmod(0o755)
    self.out = self.folder / 'out'
    # What a publisher that was killed leaves behind is no version.
    left_over = self.out / 'gan_t1' / '.publishing-XyZ'
    left_over.mkdir(parents=True)
    (left_over / 'manifest.json').write_text('{}')

  def interrupt(self, number):
    ready = self.folder / 'ready'
    os.mkfifo(ready)
    process = subprocess.Popen(
        [sys.executable, ROOT / 'trainer/evaluation/experiments.py',
         '25_gaussians', f'--out={self.out}', f'--build={self.folder / "build"}',
         '--train=gan_t1'], env=os.environ | {'READY': str(ready)},
        stderr=subprocess.PIPE, text=True)
    ready.read_text()  # Until the trainer is there.
    process.send_signal(number)
    _, message = process.communicate(timeout=60)
    self.assertEqual(process.returncode, 1)
    self.assertIn(f'training of gan_t1 ended with {128 + number}', message)

  def test_an_interrupted_training_saves_before_all_ends(self):
    for number in (signal.SIGINT, signal.SIGTERM):
      with self.subTest(number=number):
        self.setUp()
        self.interrupt(number)
        self.assertTrue((self.out / 'gan_t1/7/manifest.json').exists())
        self.assertRegex((self.out / '25_gaussians.hours').read_text(),
                         r'\Agan_t1 0\.\d\d\n\Z')


if __name__ == '__main__':
  unittest.main()
