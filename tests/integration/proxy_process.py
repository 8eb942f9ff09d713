"""nginx and HAProxy with the configurations of deploy/proxy, as processes.

`programs` is the folder with usr/sbin/nginx and usr/sbin/haproxy. Of the two
`replicas` behind a proxy, `grpc_port` and `http_port` are used.
"""

import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time

from loopback_ports import free_port

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class Proxy:
  """nginx or HAProxy in a process of its own."""

  def __init__(self, name):
    self.name = name
    self.port = free_port()
    self._folder = tempfile.TemporaryDirectory(prefix=f'ddgan-{name}-')
    self.folder = pathlib.Path(self._folder.name)

  def start(self, command, environment=None):
    with open(self.folder / 'log', 'wb') as log:
      self._process = subprocess.Popen(
          command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
          env={**os.environ, **(environment or {})})
    deadline = time.monotonic() + 30
    while True:
      try:
        socket.create_connection(('127.0.0.1', self.port), 1).close()
        return self
      except OSError:
        if self._process.poll() is not None or time.monotonic() > deadline:
          raise RuntimeError(f'{self.name} did not start:\n{self.log()}')
        time.sleep(0.05)

  def log(self):
    return (self.folder / 'log').read_text(errors='replace')

  def close(self):
    self._process.terminate()
    self._process.wait(30)
    self._folder.cleanup()


def example(name, ports):
  """The file of deploy/proxy with each of its ports replaced."""
  text = (REPOSITORY / 'deploy/proxy' / name).read_text()
  found = set(re.findall(r'\b50\d\d\d\b', re.sub(r'#.*', '', text)))
  if found != set(ports):
    raise RuntimeError(f'{name} has the ports {sorted(found)}')
  return re.sub(r'\b50\d\d\d\b', lambda match: str(ports[match[0]]), text)


def start_nginx(programs, replicas):
  proxy = Proxy('nginx')
  folder = proxy.folder
  (folder / 'ddgan.conf').write_text(example('nginx.conf', {
      '50050': proxy.port, '50051': replicas[0].grpc_port,
      '50061': replicas[1].grpc_port}))
  temporary = '\n'.join(
      f'  {name}_temp_path {folder}/{name};'
      for name in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
  # What Debian's own nginx.conf does, in one folder.
  (folder / 'nginx.conf').write_text(
      f'pid {folder}/pid;\ndaemon off;\nerror_log stderr warn;\nevents {{}}\n'
      f'http {{\n  access_log off;\n{temporary}\n'
      f'  include {folder}/ddgan.conf;\n}}\n')
  return proxy.start([f'{programs}/usr/sbin/nginx', '-p', folder, '-c',
                      folder / 'nginx.conf', '-e', 'stderr'])


def start_haproxy(programs, replicas):
  proxy = Proxy('haproxy')
  (proxy.folder / 'haproxy.cfg').write_text(example('haproxy.cfg', {
      '50050': proxy.port, '50051': replicas[0].grpc_port,
      '50052': replicas[0].http_port, '50061': replicas[1].grpc_port,
      '50062': replicas[1].http_port}))
  # Beside it, a socket on which the test asks what HAProxy thinks.
  (proxy.folder / 'control.cfg').write_text(
      f'global\n  stats socket {proxy.folder}/control\n')
  return proxy.start(
      [f'{programs}/usr/sbin/haproxy', '-db', '-f',
       proxy.folder / 'haproxy.cfg', '-f', proxy.folder / 'control.cfg'],
      {'LD_LIBRARY_PATH': f'{programs}/usr/lib/x86_64-linux-gnu'})
