"""A real Prometheus scrapes a real server, and counts what was generated.

Run by CTest, or by hand:
  python prometheus_scrape_test.py --server=build/release/server/ddgan-server \
      --model_root=deploy/models --prometheus=prometheus
"""

import argparse
import pathlib
import sys
import unittest

import grpc

from monitoring import PrometheusProcess
from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
options = None  # Set by main().


class PrometheusScrapeTest(unittest.TestCase):

  def test_counts_what_was_generated(self):
    pb, images_grpc, model_pb, models_grpc = generate_stubs(REPOSITORY / 'proto')
    with ServerProcess(options.server, options.model_root) as server, \
         PrometheusProcess(options.prometheus) as prometheus:
      prometheus.scrape('ddgan-server', server.http_address)
      self.assertEqual(prometheus.wait_for('up{job="ddgan-server"}', 1), 1)

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
      self.assertEqual(prometheus.wait_for('up{job="ddgan-server"}', 0), 0)


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
