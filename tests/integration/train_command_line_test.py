"""The real ddgan-train: what it prints and how it ends.

Run by CTest, or by hand:
  python train_command_line_test.py --trainer=build/release/trainer/ddgan-train
"""

import pathlib
import subprocess
import tempfile
import unittest

import train_program

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / 'trainer' / 'configs'


def run(*arguments):
  # Elsewhere than in the repository: the configurations are in the program.
  with tempfile.TemporaryDirectory(prefix='ddgan-train-') as folder:
    return subprocess.run([train_program.path, *arguments], cwd=folder,
                          capture_output=True, text=True, timeout=60)


class TrainCommandLineTest(unittest.TestCase):

  def refused(self, *arguments):
    """The one line that says why."""
    result = run(*arguments)
    self.assertEqual(result.returncode, 1, result.stderr)
    self.assertEqual(result.stdout, '')
    self.assertEqual(result.stderr.count('\n'), 1, result.stderr)
    return result.stderr

  def test_list_names_every_configuration(self):
    result = run('--list')
    self.assertEqual((result.returncode, result.stderr), (0, ''))
    names = [line.split()[0] for line in result.stdout.splitlines()[1:]]
    self.assertEqual(names, sorted(path.stem for path in CONFIGS.glob('*.json')))

  def test_a_bad_flag_is_one_sentence(self):
    self.assertIn('did you mean batch_size?', self.refused('--bach_size=4'))
    self.assertIn('--lr_g is 5', self.refused(
        '--config=mnist', '--data=data', '--out=out', '--lr_g=5'))

  def test_an_output_that_cannot_be_written_is_refused_at_once(self):
    self.assertIn('/proc/models', self.refused(
        '--config=mnist', '--data=data', '--out=/proc/models'))


if __name__ == '__main__':
  train_program.main(__doc__)
