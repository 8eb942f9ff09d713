"""A real ddgan-server in a process of its own, and the stubs to call it with.

Everything listens on ports of the loopback that the system picks.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time


class ServerProcess:
  """Starts the server and waits until it serves.

  As a context manager it also ends it, and shows its log if the block failed.
  Loading and warming up a model takes long on a busy machine, hence the limit.
  """

  def __init__(self, binary, model_root, flags=(), start_limit_s=120,
               stderr=None, environment=None):
    """`stderr`: a descriptor in the place of the file that log() reads.

    `environment`: variables besides those of this process.
    """
    self._folder = tempfile.TemporaryDirectory(prefix='ddgan-server-')
    port_file = os.path.join(self._folder.name, 'ports.json')
    self._log_path = os.path.join(self._folder.name, 'log')
    with open(self._log_path, 'wb') as log:
      self._process = subprocess.Popen(
          [binary, f'--model_root={model_root}', '--listen=127.0.0.1:0',
           '--http=127.0.0.1:0', f'--port_file={port_file}', *flags],
          stdin=subprocess.DEVNULL, stdout=log,
          stderr=log if stderr is None else stderr,
          env={**os.environ, **(environment or {})})
    deadline = time.monotonic() + start_limit_s
    while not os.path.exists(port_file):
      code = self._process.poll()
      if code is not None or time.monotonic() > deadline:
        self._kill()
        raise RuntimeError(
            f'ddgan-server did not start (exit code {code}):\n{self.log()}')
      time.sleep(0.05)
    with open(port_file) as file:
      ports = json.load(file)
    self.pid = self._process.pid
    self.grpc_address = f'127.0.0.1:{ports["grpc_port"]}'
    self.http_address = f'127.0.0.1:{ports["http_port"]}'
    if 'admin_port' in ports:
      self.admin_address = f'127.0.0.1:{ports["admin_port"]}'

  def log(self):
    with open(self._log_path, errors='replace') as file:
      return file.read()

  def memory_mib(self, field='VmRSS'):
    """A size from /proc/PID/status: VmRSS, or its peak, VmHWM."""
    with open(f'/proc/{self.pid}/status') as file:
      for line in file:
        if line.startswith(field + ':'):
          return int(line.split()[1]) / 1024
    raise RuntimeError(f'no {field}')

  def exit_code(self):
    """None while it runs."""
    return self._process.poll()

  def terminate(self, limit_s=60):
    """Sends SIGTERM and returns the exit code."""
    self._process.send_signal(signal.SIGTERM)
    return self._process.wait(limit_s)

  def __enter__(self):
    return self

  def __exit__(self, error_type, error, traceback):
    self.close(failed=error_type is not None)

  def close(self, failed=False):
    if failed:
      print(f'log of ddgan-server:\n{self.log()}', file=sys.stderr)
    self._kill()
    self._folder.cleanup()

  def _kill(self):
    if self._process.poll() is None:
      self._process.kill()
      self._process.wait()


def generate_stubs(proto_root):
  """Compiles the project's .proto files and returns their Python modules.

  In the order image_generation_pb2, image_generation_pb2_grpc, model_pb2,
  model_pb2_grpc. Once imported, they need no file any more.
  """
  with tempfile.TemporaryDirectory(prefix='ddgan-stubs-') as folder:
    subprocess.run(
        [sys.executable, '-m', 'grpc_tools.protoc',
         f'--proto_path={proto_root}', f'--python_out={folder}',
         f'--grpc_python_out={folder}', 'ddgan/v1/image_generation.proto',
         'ddgan/v1/model.proto'],
        check=True)
    sys.path.insert(0, folder)
    try:
      return [importlib.import_module(f'ddgan.v1.{name}')
              for name in ('image_generation_pb2', 'image_generation_pb2_grpc',
                           'model_pb2', 'model_pb2_grpc')]
    finally:
      sys.path.remove(folder)
