"""The real ddgan-train: what it prints and how it ends.

Run by CTest, or by hand:
  python train_command_line_test.py --trainer=build/release/trainer/ddgan-train
"""

import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

import train_program

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / 'trainer' / 'configs'


# A network that is made and saved in a moment.
SMALL = ('--config=mnist', '--num_channels_dae=8', '--ch_mult=1,1',
         '--attn_resolutions=16', '--ngf=2', '--batch_size=4', '--samples=0',
         '--max_steps=1')


def run(*arguments, cwd=None):
  # Elsewhere than in the repository: the configurations are in the program.
  with tempfile.TemporaryDirectory(prefix='ddgan-train-') as folder:
    return subprocess.run([train_program.path, *arguments], cwd=cwd or folder,
                          capture_output=True, text=True, timeout=60)


class TrainCommandLineTest(unittest.TestCase):

  def setUp(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-train-')
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)

  def refused(self, *arguments, code=2):
    """The one line that says why, before anything else is said."""
    result = run(*arguments)
    self.assertEqual(result.stdout, '')
    return self.reason(result, code)

  def refused_data(self, *arguments):
    """The same, of what is looked at when the configuration is printed."""
    return self.reason(run('--out=out', *arguments, cwd=self.folder))

  def reason(self, result, code=1):
    self.assertEqual(result.returncode, code, result.stderr)
    self.assertEqual(result.stderr.count('\n'), 1, result.stderr)
    return result.stderr

  def write_digits(self, magic=0x803):
    (self.folder / 'train-images-idx3-ubyte').write_bytes(
        struct.pack('>IIII', magic, 8, 28, 28) + bytes(8 * 28 * 28))

  def test_list_names_every_configuration(self):
    result = run('--list')
    self.assertEqual((result.returncode, result.stderr), (0, ''))
    names = [line.split()[0] for line in result.stdout.splitlines()[1:]]
    self.assertEqual(names, sorted(path.stem for path in CONFIGS.glob('*.json')))

  def test_a_bad_flag_is_one_sentence(self):
    self.assertIn('did you mean --batch_size?', self.refused('--bach_size=4'))
    self.assertIn('--lr_g is 5', self.refused(
        '--config=mnist', '--data=data', '--out=out', '--lr_g=5'))

  def test_a_bad_value_says_where_it_is_from(self):
    options = self.folder / 'run.toml'
    options.write_text('lr_g = 5\n')
    self.assertIn(f'from the file {options}', self.refused(
        '--config=mnist', '--data=data', '--out=out',
        f'--config_file={options}'))

  def test_an_output_that_cannot_be_written_is_refused_at_once(self):
    self.assertIn('/proc/models', self.refused(
        '--config=mnist', '--data=data', '--out=/proc/models', code=1))

  def test_a_configuration_with_an_unknown_key_is_one_sentence(self):
    mine = self.folder / 'mine.json'
    mine.write_text('{"dataset": "mnist", "bach_size": 4}')
    self.assertIn('bach_size', self.refused(
        f'--config={mine}', '--data=data', '--out=out'))

  def test_data_that_are_missing_are_one_sentence(self):
    self.assertIn('nowhere', self.refused_data(*SMALL, '--data=nowhere'))

  def test_a_file_of_something_else_is_one_sentence(self):
    self.write_digits(magic=0x801)
    self.assertIn('00000801', self.refused_data(*SMALL, '--data=.'))

  def test_a_folder_without_images_is_one_sentence(self):
    (self.folder / 'empty').mkdir()
    self.assertIn('empty', self.refused_data(
        *SMALL, '--dataset=image_folder', '--data=empty'))

  def test_gray_images_for_a_model_of_colours_are_one_sentence(self):
    self.write_digits()
    self.assertIn('with 1 channels', self.refused_data(
        *SMALL, '--num_channels=3', '--data=.'))

  def test_another_architecture_than_the_saved_one_is_one_sentence(self):
    self.write_digits()
    flags = ('--out=out', *SMALL, '--data=.')
    result = run(*flags, cwd=self.folder)
    self.assertEqual(result.returncode, 0, result.stderr)
    self.assertIn('num_channels_dae was 8 and is 16', self.refused_data(
        *SMALL, '--data=.', '--num_channels_dae=16'))

  def start(self, *flags):
    self.write_digits()
    # Log lines at each step, as fast as they come.
    process = subprocess.Popen(
        [train_program.path, '--out=out', *SMALL, '--data=.',
         '--progress=lines', '--log_every=1', *flags],
        cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True)
    self.addCleanup(process.kill)
    return process

  def read_until(self, process, beginning):
    for line in process.stdout:
      if line.startswith(beginning):
        return
    self.fail(process.stderr.read())

  def saved_steps(self):
    return [int(path.stem.split('_')[1]) for path in self.folder.glob(
        'out/.training-*/state_*.safetensors')]

  def test_every_signal_to_stop_saves_first(self):
    for name in ('SIGHUP', 'SIGTERM', 'SIGINT'):
      with self.subTest(name):
        process = self.start('--max_steps=1000000')
        self.read_until(process, 'step ')
        process.send_signal(getattr(signal, name))
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 128 + getattr(signal, name),
                         errors)
        self.assertTrue(self.saved_steps())
        shutil.rmtree(self.folder / 'out')

  def test_a_signal_ends_a_wait_for_other_processes(self):
    # Rank 0, which is expected there, says nothing.
    with socket.create_server(('127.0.0.1', 0)) as rank_0:
      process = subprocess.Popen(
          [train_program.path, '--config=25_gaussians', f'--out={self.folder}'],
          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
          env=os.environ | {
              'WORLD_SIZE': '2', 'RANK': '1', 'LOCAL_RANK': '1',
              'MASTER_ADDR': '127.0.0.1',
              'MASTER_PORT': str(rank_0.getsockname()[1])})
      rank_0.accept()
      process.terminate()
      self.assertEqual(process.wait(timeout=60), 128 + signal.SIGTERM)

  def test_a_batch_of_any_size_trains_networks_without_groups(self):
    result = run('--config=25_gaussians', '--batch_size=6', '--max_steps=1',
                 '--threads=1', f'--out={self.folder}')
    self.assertEqual(result.returncode, 0, result.stderr)

  def test_under_nohup_the_terminal_may_go(self):
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
      process = self.start('--max_steps=1000000')
    finally:
      signal.signal(signal.SIGHUP, previous)
    self.read_until(process, 'step ')
    process.send_signal(signal.SIGHUP)
    # More than were on their way: a stop would come before the next step.
    for _ in range(100):
      self.read_until(process, 'step ')
    process.terminate()
    _, errors = process.communicate(timeout=60)
    self.assertEqual(process.returncode, 128 + signal.SIGTERM, errors)

  def test_a_reader_that_goes_away_ends_nothing(self):
    process = self.start('--max_steps=1000000', '--save_every=1')
    self.read_until(process, 'step ')
    process.stdout.close()  # As `| head` does.
    wanted = max(self.saved_steps(), default=0) + 10
    deadline = time.monotonic() + 60
    while max(self.saved_steps(), default=0) < wanted:
      self.assertLess(time.monotonic(), deadline, 'it does not go on')
      time.sleep(0.05)
    process.terminate()
    errors = process.stderr.read()
    self.assertEqual(process.wait(timeout=60), 128 + signal.SIGTERM, errors)
    self.assertIn('stdout takes nothing any more', errors)


if __name__ == '__main__':
  train_program.main(__doc__)
