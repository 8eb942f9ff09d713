"""A real Prometheus scrapes a real server, and counts what was generated.

Run by CTest, or by hand:
  python prometheus_scrape_test.py --server=build/release/server/ddgan-server \
      --model_root=deploy/models --prometheus=prometheus
"""

import argparse
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import grpc

from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LIMIT_S = 60  # For Prometheus to start, and for each value to appear.

SCRAPE_CONFIG = """
global:
  scrape_interval: 250ms
  scrape_timeout: 250ms
scrape_configs:
  - job_name: ddgan
    static_configs:
      - targets: ['{target}']
"""

options = None  # Set by main().


def free_port():
  # Another process could take it before Prometheus does; that is unlikely, and
  # Prometheus has no way to say which port it was given.
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    return probe.getsockname()[1]


class PrometheusProcess:
  """Prometheus with one target. A context manager, which ends it."""

  def __init__(self, binary, target):
    self._folder = tempfile.TemporaryDirectory(prefix='ddgan-prometheus-')
    folder = pathlib.Path(self._folder.name)
    (folder / 'scrape.yaml').write_text(SCRAPE_CONFIG.format(target=target))
    self._address = f'127.0.0.1:{free_port()}'
    self._log_path = folder / 'log'
    with open(self._log_path, 'wb') as log:
      self._process = subprocess.Popen(
          [binary, f'--config.file={folder}/scrape.yaml',
           f'--storage.tsdb.path={folder}/data',
           f'--web.listen-address={self._address}'],
          stdin=subprocess.DEVNULL, stdout=log, stderr=log)

  def query(self, expression):
    """The value of an expression with one result, or None if it has none."""
    url = (f'http://{self._address}/api/v1/query?'
           + urllib.parse.urlencode({'query': expression}))
    try:
      with urllib.request.urlopen(url, timeout=5) as reply:
        result = json.load(reply)['data']['result']
    except (OSError, urllib.error.URLError):  # It is still starting.
      return None
    return float(result[0]['value'][1]) if result else None

  def wait_for(self, expression, wanted):
    """The expression's value, once it is `wanted` or the limit has passed."""
    deadline = time.monotonic() + LIMIT_S
    while True:
      value = self.query(expression)
      if value == wanted or time.monotonic() > deadline:
        return value
      if self._process.poll() is not None:
        raise RuntimeError(f'Prometheus ended:\n{self.log()}')
      time.sleep(0.1)

  def log(self):
    return self._log_path.read_text(errors='replace')

  def __enter__(self):
    return self

  def __exit__(self, error_type, error, traceback):
    if error_type is not None:
      print(f'log of Prometheus:\n{self.log()}', file=sys.stderr)
    self._process.kill()
    self._process.wait()
    self._folder.cleanup()


class PrometheusScrapeTest(unittest.TestCase):

  def test_counts_what_was_generated(self):
    with tempfile.TemporaryDirectory(prefix='ddgan-stubs-') as folder:
      pb, images_grpc, model_pb, models_grpc = generate_stubs(
          REPOSITORY / 'proto', folder)
    with ServerProcess(options.server, options.model_root) as server, \
         PrometheusProcess(options.prometheus, server.http_address) as prometheus:
      self.assertEqual(prometheus.wait_for('up{job="ddgan"}', 1), 1)

      with grpc.insecure_channel(server.grpc_address) as channel:
        models = models_grpc.ModelServiceStub(channel).ListModels(
            model_pb.ListModelsRequest(), timeout=30)
        live = next((model.name, version)
                    for model in models.models for version in model.versions
                    if version.state == model_pb.MODEL_VERSION_STATE_LIVE)
        images = images_grpc.ImageGenerationStub(channel)
        for count in (1, 4):
          images.Generate(pb.GenerateRequest(model=live[0], count=count),
                          timeout=240)
        with self.assertRaises(grpc.RpcError):
          images.Generate(pb.GenerateRequest(model=live[0], count=65),
                          timeout=240)

      model, version = live
      labels = f'model="{model}",version="{version.version}"'
      for expression, wanted in (
          (f'sum(ddgan_images_total{{{labels}}})', 5),
          (f'sum(ddgan_requests_total{{model="{model}",code="OK"}})', 2),
          ('sum(ddgan_requests_total{code="INVALID_ARGUMENT"})', 1),
          ('sum(ddgan_request_duration_seconds_count{code="OK"})', 2),
          # Warm-up steps are not counted, so these are the callers' own.
          (f'sum(ddgan_step_batch_size_sum{{model="{model}"}})',
           5 * version.num_timesteps),
          ('sum(ddgan_encode_duration_seconds_count)', 5),
          ('sum(ddgan_inflight_images)', 0),
          ('sum(ddgan_queue_depth)', 0),
          (f'sum(ddgan_model_info{{{labels}}})', 1),
          ('min(ddgan_device_healthy)', 1),
          ('count(ddgan_build_info)', 1)):
        with self.subTest(expression):
          self.assertEqual(prometheus.wait_for(expression, wanted), wanted)

      self.assertEqual(server.terminate(), 0)
      self.assertEqual(prometheus.wait_for('up{job="ddgan"}', 0), 0)


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True, help='the ddgan-server binary')
  parser.add_argument('--model_root', required=True)
  parser.add_argument('--prometheus', required=True)
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
