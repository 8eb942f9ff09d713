"""TLS, client certificates and tokens of a ddgan-server process, as Python's
grpcio, OpenSSL's own client and the ddgan program see them.

The certificates are made by the openssl program while the test runs. The engine
is a fake one: what is tried here happens before a call reaches it.

Run by CTest, or by hand:
  python tls_test.py \
      --server=build/release/tests/server/ddgan_server_with_fake_engine \
      --client=build/release/client/ddgan
"""

import argparse
import hashlib
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1 import health_pb2_grpc

from certificates import Authority
from server_metrics import Metrics
from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SWAPS = 20
TOKENS = {name: f'{name}-token-{os.urandom(8).hex()}'
          for name in ('generate', 'read', 'expired', 'unknown')}

options = None  # Set by main().


def token_file():
  def entry(name, scopes, **more):
    digest = hashlib.sha256(TOKENS[name].encode()).hexdigest()
    return {'sha256': digest, 'scopes': scopes, **more}
  return json.dumps({'tenants': [{'name': 'studio', 'tokens': [
      entry('generate', ['generate']),
      entry('read', ['read']),
      entry('expired', ['generate'], expires='2020-01-01T00:00:00Z'),
  ]}]})


class TlsTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    (cls.pb, cls.images_grpc, cls.model_pb,
     cls.models_grpc) = generate_stubs(REPOSITORY / 'proto')
    folder = tempfile.TemporaryDirectory(prefix='ddgan-tls-')
    cls.addClassCleanup(folder.cleanup)
    cls.folder = pathlib.Path(folder.name)
    cls.servers = Authority(cls.folder, 'servers')
    cls.clients = Authority(cls.folder, 'clients')
    cls.strangers = Authority(cls.folder, 'strangers')
    cls.good_pair = cls.servers.sign()
    cls.client_pair = cls.clients.sign('client')
    cls.ca = cls.servers.pem.read_bytes()

  def setUp(self):
    live = tempfile.TemporaryDirectory(prefix='ddgan-live-')
    self.addCleanup(live.cleanup)
    self.live = pathlib.Path(live.name)
    self.put(*self.good_pair)
    (self.live / 'client_ca.pem').write_bytes(self.clients.pem.read_bytes())
    (self.live / 'tokens.json').write_text(token_file())

  def put(self, certificate, key):
    """Into the files that the server reads, one after the other and in place:
    the least careful way."""
    (self.live / 'cert.pem').write_bytes(pathlib.Path(certificate).read_bytes())
    (self.live / 'key.pem').write_bytes(pathlib.Path(key).read_bytes())

  def flags(self):
    return [f'--tls_cert={self.live}/cert.pem', f'--tls_key={self.live}/key.pem',
            f'--tls_client_ca={self.live}/client_ca.pem',
            f'--token_file={self.live}/tokens.json', '--log_level=debug']

  def start(self):
    server = ServerProcess(options.server, self.live, self.flags())
    self.addCleanup(server.close)
    return server

  def channel(self, server, ca=None, pair='good', name='localhost', tls=True):
    """On a connection of its own."""
    arguments = [('grpc.use_local_subchannel_pool', 1),
                 ('grpc.ssl_target_name_override', name)]
    if not tls:
      channel = grpc.insecure_channel(server.grpc_address, arguments[:1])
    else:
      certificate, key = ((None, None) if pair is None else
                          self.client_pair if pair == 'good' else pair)
      credentials = grpc.ssl_channel_credentials(
          ca or self.ca, key and key.read_bytes(),
          certificate and certificate.read_bytes())
      channel = grpc.secure_channel(server.grpc_address, credentials, arguments)
    self.addCleanup(channel.close)
    return channel

  def generate(self, channel, token='generate', timeout=20):
    metadata = ([('authorization', f'Bearer {TOKENS[token]}')] if token
                else [])
    return self.images_grpc.ImageGenerationStub(channel).Generate(
        self.pb.GenerateRequest(count=1, seed=7), timeout=timeout,
        metadata=metadata)

  def code_of(self, channel, token='generate'):
    try:
      self.generate(channel, token)
      return grpc.StatusCode.OK
    except grpc.RpcError as error:
      for secret in TOKENS.values():
        self.assertNotIn(secret, str(error.details()))
      return error.code()

  def await_metric(self, server, name, value, limit_s=30, **labels):
    deadline = time.monotonic() + limit_s
    while Metrics(server).sum(name, **labels) < value:
      self.assertLess(time.monotonic(), deadline, (name, labels, server.log()))
      time.sleep(0.1)
    self.assertEqual(Metrics(server).sum(name, **labels), value)

  def assert_no_token_in(self, text):
    for secret in TOKENS.values():
      self.assertNotIn(secret, text)
    self.assertNotIn('PRIVATE KEY', text)

  def test_clients_matrix(self):
    server = self.start()
    ok, unavailable = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE
    for what, expected, channel in (
        ('good', ok, self.channel(server)),
        ('none', unavailable, self.channel(server, pair=None)),
        ('wrong authority', unavailable,
         self.channel(server, pair=self.strangers.sign('client'))),
        ('expired', unavailable,
         self.channel(server, pair=self.clients.sign('client', days=-1))),
        ('server of a wrong authority', unavailable,
         self.channel(server, ca=self.strangers.pem.read_bytes())),
        ('server with a wrong name', unavailable,
         self.channel(server, name='elsewhere')),
        ('mismatched pair', unavailable,
         self.channel(server, pair=(self.client_pair[0],
                                    self.clients.sign('client')[1]))),
        ('plaintext', unavailable, self.channel(server, tls=False)),
        ('good again', ok, self.channel(server)),
    ):
      with self.subTest(what):
        self.assertEqual(self.code_of(channel), expected)
    half = self.client_pair[0].read_text()
    cut_off = self.folder / 'half.crt'
    cut_off.write_text(half[:len(half) // 2])
    self.assertEqual(
        self.code_of(self.channel(server, pair=(cut_off, self.client_pair[1]))),
        unavailable)
    self.assert_no_token_in(server.log())

  def test_tokens_matrix(self):
    server = self.start()
    channel = self.channel(server)
    for token, expected in (
        (None, grpc.StatusCode.UNAUTHENTICATED),
        ('unknown', grpc.StatusCode.UNAUTHENTICATED),
        ('expired', grpc.StatusCode.UNAUTHENTICATED),
        ('read', grpc.StatusCode.PERMISSION_DENIED),
        ('generate', grpc.StatusCode.OK),
    ):
      with self.subTest(token):
        self.assertEqual(self.code_of(channel, token), expected)
    health = health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(), timeout=20)
    self.assertEqual(health.status, health_pb2.HealthCheckResponse.SERVING)

    # The call credentials that grpcio brings along say the same.
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(
            self.ca, self.client_pair[1].read_bytes(),
            self.client_pair[0].read_bytes()),
        grpc.access_token_call_credentials(TOKENS['generate']))
    with grpc.secure_channel(
        server.grpc_address, credentials,
        [('grpc.ssl_target_name_override', 'localhost')]) as composite:
      self.assertEqual(self.code_of(composite, token=None), grpc.StatusCode.OK)
    self.assert_no_token_in(server.log())

  def test_a_server_does_not_start_with_files_that_cannot_be_used(self):
    good_certificate, good_key = self.good_pair
    half = self.folder / 'half.key'
    half.write_text(good_key.read_text()[:60])
    expired = self.servers.sign(days=-1)
    for pair, words in (
        ((good_certificate, self.servers.sign()[1]),
         "key: is not the certificate's"),
        ((good_certificate, half), 'key: no private key'),
        (expired, 'certificate: expired at'),
        ((good_key, good_certificate), 'certificate: no certificate'),
    ):
      with self.subTest(words):
        self.put(*pair)
        with self.assertRaises(RuntimeError) as caught:
          ServerProcess(options.server, self.live, self.flags()).close()
        self.assertIn('exit code 1', str(caught.exception))
        self.assertIn(words, str(caught.exception))
        self.assertIn('--tls_key=', str(caught.exception))
        self.assert_no_token_in(str(caught.exception))

  def test_tokens_are_not_taken_in_the_clear_from_a_network(self):
    result = subprocess.run(
        [options.server, f'--model_root={self.live}', '--listen=0.0.0.0:0',
         f'--token_file={self.live}/tokens.json'],
        capture_output=True, text=True, timeout=60)
    self.assertEqual(result.returncode, 2)
    self.assertIn('tokens would cross the network in the clear', result.stderr)

  def test_a_bad_pair_keeps_the_old_one_and_is_told_once(self):
    server = self.start()
    half = self.folder / 'half.crt'
    text = self.good_pair[0].read_text()
    half.write_text(text[:len(text) // 2])
    bad = ((self.good_pair[0], self.servers.sign()[1]),
           self.servers.sign(days=-1), (half, self.good_pair[1]))
    for number, pair in enumerate(bad, start=1):
      self.put(*pair)
      self.await_metric(server, 'ddgan_tls_reloads_total', number,
                        result='refused')
      self.assertEqual(self.code_of(self.channel(server)), grpc.StatusCode.OK)
    time.sleep(2.5)  # Two more looks at the last of them.
    self.await_metric(server, 'ddgan_tls_reloads_total', 3, result='refused')
    self.assertEqual(server.log().count('refused, what was there before'), 3)
    self.put(*self.servers.sign())
    self.await_metric(server, 'ddgan_tls_reloads_total', 1, result='taken')
    self.assertEqual(self.code_of(self.channel(server)), grpc.StatusCode.OK)
    expiry = Metrics(server).sum(
        'ddgan_tls_certificate_expiry_timestamp_seconds')
    self.assertAlmostEqual(expiry, time.time() + 24 * 3600, delta=600)

  def test_only_tls_1_2_and_newer(self):
    server = self.start()
    for version, works in (('-tls1', False), ('-tls1_1', False),
                           ('-tls1_2', True), ('-tls1_3', True)):
      with self.subTest(version):
        # The security level makes OpenSSL's own side offer the old versions.
        result = subprocess.run(
            ['openssl', 's_client', '-connect', server.grpc_address, version,
             '-cipher', 'DEFAULT@SECLEVEL=0', '-alpn', 'h2', '-CAfile',
             self.servers.pem, '-cert', self.client_pair[0], '-key',
             self.client_pair[1]],
            input='', capture_output=True, text=True, errors='replace',
            timeout=60)
        self.assertEqual('Verification: OK' in result.stdout
                         and 'ALPN protocol: h2' in result.stdout, works,
                         result.stdout + result.stderr)

  def certificate_of(self, server):
    """What the server shows a new connection."""
    context = ssl.create_default_context(cafile=self.servers.pem)
    context.check_hostname = False
    context.load_cert_chain(*self.client_pair)
    context.set_alpn_protocols(['h2'])
    host, port = server.grpc_address.split(':')
    with socket.create_connection((host, int(port)), timeout=20) as plain:
      with context.wrap_socket(plain) as tls:
        return tls.getpeercert()['serialNumber']

  def test_pairs_swapped_again_and_again_under_load_fail_no_call(self):
    pairs = [self.servers.sign() for _ in range(SWAPS)]
    server = self.start()
    lock = threading.Lock()
    done = threading.Event()
    calls = {'on one connection': 0, 'on new connections': 0}
    failures = []
    shown = set()

    def call(kind, channel):
      try:
        self.generate(channel, timeout=60)
      except grpc.RpcError as error:
        with lock:
          failures.append((kind, error.code(), error.details()))
      with lock:
        calls[kind] += 1

    def on_one_connection():
      channel = self.channel(server)
      while not done.is_set():
        call('on one connection', channel)

    def on_new_connections():
      while not done.is_set():
        channel = self.channel(server)
        call('on new connections', channel)
        channel.close()

    threads = [threading.Thread(target=target)
               for target in 2 * [on_one_connection, on_new_connections]]
    self.addCleanup(done.set)
    for thread in threads:
      thread.start()
    for number, pair in enumerate(pairs, start=1):
      self.put(*pair)
      self.await_metric(server, 'ddgan_tls_reloads_total', number,
                        result='taken')
      shown.add(self.certificate_of(server))
    done.set()
    for thread in threads:
      thread.join()
    print(f'{SWAPS} swaps, {len(shown)} certificates seen, calls {calls}, '
          f'{len(failures)} failed')
    self.assertEqual(failures, [])
    self.assertEqual(len(shown), SWAPS)
    self.assertEqual(
        Metrics(server).sum('ddgan_tls_reloads_total', result='refused'), 0)
    for count in calls.values():
      self.assertGreater(count, 20)
    self.assert_no_token_in(server.log())
    self.assertEqual(server.terminate(), 0)

  def run_client(self, command, server, *flags, token='generate', tls=True):
    token_path = self.live / 'token'
    token_path.write_text(TOKENS[token] + '\n')
    security = [f'--token_file={token_path}']
    if tls:
      security += ['--tls', f'--tls_ca={self.servers.pem}',
                   f'--tls_cert={self.client_pair[0]}',
                   f'--tls_key={self.client_pair[1]}',
                   '--tls_server_name=localhost']
    result = subprocess.run(
        [options.client, command, f'--server={server.grpc_address}', *security,
         *flags], capture_output=True, text=True, timeout=120)
    self.assert_no_token_in(result.stdout + result.stderr)
    return result

  def test_the_command_line_client(self):
    server = self.start()
    generated = self.run_client('generate', server, '--seed=7',
                                f'--out={self.live}/image.png')
    self.assertEqual(generated.returncode, 0, generated.stderr)
    self.assertIn(f'--tls_ca={self.servers.pem}', generated.stdout)
    self.assertTrue((self.live / 'image.png').exists())
    streamed = self.run_client('generate', server, '--stream', '--count=3',
                               f'--out={self.live}/stream/')
    self.assertEqual(streamed.returncode, 0, streamed.stderr)
    self.assertEqual(self.run_client('health', server).returncode, 0)
    bench = self.run_client('bench', server, '--concurrency=2', '--calls=20',
                            '--warmup=0', '--json=-')
    self.assertEqual(bench.returncode, 0, bench.stderr)
    self.assertEqual(json.loads(bench.stdout)['calls']['ok'], 20)
    self.assertEqual(
        self.run_client('models', server, token='read').returncode, 0)
    denied = self.run_client('models', server)
    self.assertEqual(denied.returncode, 1)
    self.assertIn('PERMISSION_DENIED', denied.stderr)
    self.assertIn('needs the scope read', denied.stderr)
    plain = self.run_client('generate', server, '--timeout=5', tls=False)
    self.assertEqual(plain.returncode, 1)
    self.assertIn('--tls', plain.stderr)
    self.assert_no_token_in(server.log())


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True,
                      help='a ddgan-server, with a fake engine or a real one')
  parser.add_argument('--client', required=True, help='the ddgan binary')
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
