"""A run of ddgan-train on 25 Gaussians, which Prometheus can scrape."""

import subprocess
import sys
import tempfile

from loopback_ports import free_port


class TrainingRun:
  """Steps take about a millisecond. A context manager, which ends the run."""

  MODEL = '25_gaussians'

  def __init__(self, binary, out, *flags):
    self.http_address = f'127.0.0.1:{free_port()}'
    self._output = tempfile.TemporaryFile()
    self._process = subprocess.Popen(
        [binary, f'--config={self.MODEL}', f'--out={out}', '--toy_width=16',
         '--batch_size=16', '--samples=0', '--threads=1', '--publish_every=50',
         '--keep_published=2', '--max_steps=100000000', '--progress=lines',
         '--log_every=10', f'--metrics_listen={self.http_address}', *flags],
        stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output)

  def kill(self):
    self._process.kill()
    self._process.wait()

  def __enter__(self):
    return self

  def __exit__(self, error_type, error, traceback):
    self.kill()
    if error_type is not None:
      self._output.seek(0)
      print(f'output of ddgan-train:\n{self._output.read().decode()}',
            file=sys.stderr)
    self._output.close()
