"""Rolling restarts of two servers behind nginx and HAProxy lose no call.

Two replicas, both proxies in front of them with the configurations of
deploy/proxy, and callers that call all the time through each. One replica
after the other is drained, ended and started again. Not one call may fail, each
replica must have taken its share, and each call must be in a replica's log,
every line of which is a JSON object. The callers give themselves a name, which
no replica may hear.

CTest runs a few restarts. The full proof, as server/OPERATING.md quotes it:
  ~/.cache/ddgan/python/bin/python tests/integration/rolling_restart_test.py \
      --restarts=50 --min_calls=10000 \
      --server=build/release/server/ddgan-server --model_root=deploy/models \
      --proxies=$HOME/.cache/ddgan/proxies
"""

import argparse
import collections
import contextlib
import json
import pathlib
import socket
import sys
import threading
import time
import urllib.error
import urllib.request

import grpc

import proxy_process
from loopback_ports import free_port
from server_metrics import Metrics
from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DRAIN_DELAY_S = 2  # Several of HAProxy's checks.
MIN_READY_S = 1.5  # Longer than nginx leaves a server alone that was away.
FORGED = 'forged'  # Who the callers say they are.


class Replica:
  """A server that comes back on its ports after each restart."""

  def __init__(self, options):
    self._options = options
    self.grpc_port, self.http_port = free_port(), free_port()
    self.logs = []
    self._start()

  def _start(self):
    self.process = ServerProcess(
        self._options.server, self._options.model_root,
        flags=[f'--listen=127.0.0.1:{self.grpc_port}',
               f'--http=127.0.0.1:{self.http_port}', '--warmup=ends',
               '--cpu_threads=1', '--log_format=json',
               f'--drain_delay={DRAIN_DELAY_S}s'])
    self._wait_until_ready()

  def _wait_until_ready(self):
    deadline = time.monotonic() + 60
    while True:
      try:
        with urllib.request.urlopen(
            f'http://{self.process.http_address}/readyz', timeout=10):
          return
      except urllib.error.HTTPError:
        if time.monotonic() > deadline:
          raise
        time.sleep(0.05)

  def calls_taken(self):
    return Metrics(self.process).sum('ddgan_requests_total')

  def restart(self):
    self.stop()
    self._start()

  def stop(self):
    code = self.process.terminate()
    self.logs.append(self.process.log())
    if code != 0:
      raise RuntimeError(f'exit code {code}:\n{self.logs[-1]}')
    self.process.close()


def wait_until_haproxy_has_all(proxy, limit_s=60):
  """As a rollout waits for an endpoint to be back before the next restart."""
  deadline = time.monotonic() + limit_s
  while True:
    with socket.socket(socket.AF_UNIX) as control:
      control.connect(str(proxy.folder / 'control'))
      control.sendall(b'show stat\n')
      table = b''.join(iter(lambda: control.recv(1 << 16), b'')).decode()
    states = [row.split(',')[17] for row in table.splitlines()
              if row.startswith(('ddgan,a,', 'ddgan,b,'))]
    if states == ['UP', 'UP']:
      return
    if time.monotonic() > deadline:
      raise RuntimeError(f'HAProxy has servers {states}:\n{proxy.log()}')
    time.sleep(0.1)


class Callers:
  """Threads that call through one proxy until they are told to stop."""

  def __init__(self, proxy, stubs, model, threads):
    self.proxy = proxy
    self._model = model
    self.calls = 0
    self.failures = collections.Counter()
    self._pb, self._images_grpc = stubs
    self._lock = threading.Lock()
    self._stop = threading.Event()
    self._threads = [threading.Thread(target=self._call_until_stopped, args=[i])
                     for i in range(threads)]
    for thread in self._threads:
      thread.start()

  def _call_until_stopped(self, number):
    # A connection for each thread, and no client-side second attempt at a call:
    # what the proxy answers counts.
    with grpc.insecure_channel(
        f'127.0.0.1:{self.proxy.port}',
        options=[('grpc.enable_retries', 0),
                 ('grpc.use_local_subchannel_pool', 1)]) as channel:
      images = self._images_grpc.ImageGenerationStub(channel)
      seed = number << 32
      metadata = [('ddgan-client-id', FORGED)]
      while not self._stop.is_set():
        seed += 1
        request = self._pb.GenerateRequest(
            model=self._model, count=1, seed=seed,
            format=self._pb.OUTPUT_FORMAT_RAW8)
        failure = None
        try:
          if seed % 10 == 0:
            events = list(images.GenerateStream(
                self._pb.GenerateStreamRequest(request=request), timeout=60,
                metadata=metadata))
            if events[-1].WhichOneof('event') != 'summary':
              failure = 'a stream without a summary'
          else:
            reply = images.Generate(request, timeout=60, metadata=metadata)
            if len(reply.images) != 1:
              failure = 'a reply without its image'
        except grpc.RpcError as error:
          failure = f'{error.code().name}: {error.details()}'
        with self._lock:
          self.calls += 1
          if failure:
            self.failures[failure] += 1

  def stop(self):
    self._stop.set()
    for thread in self._threads:
      thread.join()


def read_access_lines(logs):
  """How many calls the logs tell, every line of which has to be JSON, and how
  many of them by the name that the callers gave themselves."""
  calls = forged = 0
  for log in logs:
    for line in log.splitlines():
      entry = json.loads(line)
      calls += entry.get('event') == 'call'
      forged += entry.get('caller') == FORGED
  return calls, forged


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--server', required=True)
  parser.add_argument('--model_root', required=True, type=pathlib.Path,
                      help='its first model by name is called')
  parser.add_argument('--proxies', required=True,
                      help='folder with usr/sbin/nginx and usr/sbin/haproxy')
  parser.add_argument('--restarts', type=int, default=2)
  parser.add_argument('--min_calls', type=int, default=0,
                      help='through each proxy, at least')
  parser.add_argument('--threads', type=int, default=4,
                      help='callers of each proxy')
  options = parser.parse_args()

  with contextlib.ExitStack() as cleanup:
    stubs = generate_stubs(REPOSITORY / 'proto')[:2]
    replicas, proxies = [], []
    for _ in range(2):
      replicas.append(Replica(options))
      cleanup.callback(lambda replica=replicas[-1]: replica.process.close())
    for start_proxy in (proxy_process.start_nginx, proxy_process.start_haproxy):
      proxies.append(start_proxy(options.proxies, replicas))
      cleanup.callback(proxies[-1].close)
    start = time.monotonic()
    model = min(path.parent.parent.name for path in
                options.model_root.glob('*/*/manifest.json'))
    callers = [Callers(proxy, stubs, model, options.threads)
               for proxy in proxies]
    idle = []
    try:
      for number in range(options.restarts):
        time.sleep(MIN_READY_S)
        # The calls spread over the restarts.
        while (min(c.calls for c in callers) * options.restarts
               < options.min_calls * number):
          time.sleep(0.05)
        wait_until_haproxy_has_all(proxies[1])
        replica = replicas[number % 2]
        if replica.calls_taken() == 0:
          idle.append(number)
        replica.restart()
        print(f'restart {number + 1}: '
              + ', '.join(f'{c.proxy.name} {c.calls} calls, '
                          f'{sum(c.failures.values())} failed'
                          for c in callers), flush=True)
    finally:
      for caller in callers:
        caller.stop()
    duration = time.monotonic() - start
    for replica in replicas:
      replica.stop()
    failed = bool(idle)
    for caller in callers:
      print(f'{caller.proxy.name}: {options.restarts} restarts, '
            f'{caller.calls} calls in {duration:.0f} s, '
            f'{sum(caller.failures.values())} failed')
      for failure, count in caller.failures.items():
        print(f'  {count} x {failure}')
      if caller.failures:
        failed = True
        print(caller.proxy.log(), file=sys.stderr)
    if idle:
      print(f'replicas that took no call before restarts {idle}')
    sent = sum(caller.calls for caller in callers)
    logged, forged = read_access_lines(log for replica in replicas
                                       for log in replica.logs)
    print(f'{sent} calls sent, {logged} in the logs, {forged} by a forged name')
    return 1 if failed or logged != sent or forged else 0


if __name__ == '__main__':
  sys.exit(main())
