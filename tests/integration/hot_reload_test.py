"""A running server takes up what is published, and nothing that is broken.

Versions come from the trainer's own publisher (publish_versions), one after the
other under load, killed at random moments, or onto a full disk; or they are
damaged in the ways of version_damage.py. Whatever happens, the server goes on
with the last good version, says why it does not take the new one, and takes it
once it is mended.

Run by CTest, or by hand:
  python hot_reload_test.py --server=build/release/server/ddgan-server \
      --client=build/release/client/ddgan --model_root=deploy/models \
      --publisher=build/release/tests/integration/publish_versions
"""

import argparse
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import grpc

import hot_reload
import version_damage
from server_metrics import Metrics
from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MODEL = 'tiny'
# A look at the folder every 50 ms finds also what no event tells. The versions'
# images are close to one another; how far they may be is not tested here.
FLAGS = ['--poll_interval=50ms', '--warmup=ends', '--canary_max_mean_shift=2',
         '--log_level=warn']
# More than a server of this model needs for a load, and far less than the sizes
# that damaged files claim.
MEMORY_SLACK_MIB = 64

options = None  # Set by main().
stubs = None


def setUpModule():
  global stubs
  stubs = generate_stubs(REPOSITORY / 'proto')


class HotReloadTest(unittest.TestCase):
  """Each test has a model root and a server of its own."""

  def run(self, result=None):
    failures = lambda: len(result.failures) + len(result.errors)
    before = failures()
    self.has_failed = lambda: failures() > before
    return super().run(result)

  def setUp(self):
    folder = tempfile.TemporaryDirectory(prefix='ddgan-reload-')
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)
    self.root = self.folder / 'models'
    self.root.mkdir()
    self.publisher = self.publisher_to(self.root)
    self.good = None

  def publisher_to(self, root, model=MODEL):
    source = min(pathlib.Path(options.model_root).glob('*/[1-9]*'))
    return hot_reload.Publisher(options.publisher, source, root, model)

  def start_empty_server(self, *flags):
    server = ServerProcess(options.server, self.root, [*FLAGS, *flags])
    self.addCleanup(lambda: server.close(failed=self.has_failed()))
    self.server = server
    self.models = self.enterContext(hot_reload.ServerModels(server, stubs))

  def start_server(self, *flags):
    """With one version, number 1, unless there are some already."""
    if not self.publisher.complete_versions():
      self.publisher.publish(1)
    self.start_empty_server(*flags)
    self.expect_live(self.publisher.complete_versions()[-1])

  def generate(self, **fields):
    return self.models.generate(MODEL, **fields)

  def expect_live(self, version):
    """Waits for it; it is what the server must fall back on from now on."""
    self.models.wait_until_live(MODEL, version)
    reply = self.generate()
    self.assertEqual(reply.version, version)
    self.assertEqual(reply.checkpoint_digest, self.publisher.digest(version))
    self.assertTrue(self.good is None or reply.images != self.good.images)
    self.good = reply

  def expect_unchanged(self):
    reply = self.generate()
    self.assertEqual((reply.version, reply.checkpoint_digest),
                     (self.good.version, self.good.checkpoint_digest))
    self.assertEqual(reply.images, self.good.images)

  def expect_refused(self, version, *words):
    reason = self.models.wait_until_refused(MODEL, version)
    for word in words:
      self.assertIn(word, reason)
    self.expect_unchanged()
    with self.assertRaises(grpc.RpcError) as caught:
      self.generate(version=version)
    self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)

  def await_two_looks(self):
    """Until the server has looked through the whole root since this call.

    The look that finds the first version may have begun before.
    """
    other = self.publisher_to(self.root, 'other')
    for _ in range(2):
      self.models.wait_until_live('other', other.publish())

  def prepare(self, version):
    """A sound version that the server does not see yet."""
    workshop = self.publisher_to(self.folder / 'workshop')
    workshop.publish(version)
    return workshop.folder / str(version)

  def reveal(self, prepared):
    """Puts what is in a prepared folder in the server's sight, in one step."""
    prepared.rename(self.publisher.folder / prepared.name)

  def mend(self, version):
    """Puts sound files in the place of a version's, one by one."""
    target = self.publisher.folder / str(version)
    sound = self.prepare(version)
    for file in sorted(sound.iterdir()):
      file.replace(target / file.name)
    shutil.rmtree(sound)

  # What should happen.

  def test_versions_follow_one_another_under_load(self):
    versions = 30
    self.start_server()
    with hot_reload.Load(options.client, self.server, '--concurrency=2',
                         '--counts=1,4', '--seed_pool=4') as load:
      for number in range(1, versions + 1):
        self.expect_live(self.publisher.publish())
        if number == 10:
          early_mib = self.server.memory_mib()
      late_mib = self.server.memory_mib()
      report, calls = load.stop()
    self.assertEqual(report['calls']['ok'], report['calls']['scheduled'])
    by_version = hot_reload.bytes_by_call(calls)
    self.assertGreater(len(by_version), versions // 2)
    for asked in by_version.values():
      for hashes in asked.values():
        self.assertEqual(len(hashes), 1)
    # Each version has images of its own, or a mix of two would not show.
    for version, asked in by_version.items():
      for call, hashes in asked.items():
        self.assertNotEqual(hashes, by_version.get(version + 1, {}).get(call))
    for version in list(by_version)[::10]:
      self.assertEqual(by_version[version], hot_reload.bytes_in_quiet(
          options.server, stubs, self.publisher, version, by_version[version],
          None, *FLAGS))
    if not options.sanitized:
      self.assertLess(late_mib, 1.1 * early_mib)

  def test_a_server_that_has_no_version_yet_waits_for_the_first(self):
    self.start_empty_server()
    ready = f'http://{self.server.http_address}/readyz'
    with self.assertRaises(urllib.error.HTTPError) as caught:
      urllib.request.urlopen(ready, timeout=10)
    self.assertEqual(caught.exception.code, 503)
    with self.assertRaises(grpc.RpcError) as caught:
      self.generate()
    self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
    self.publisher.publish(7)
    self.expect_live(7)
    with urllib.request.urlopen(ready, timeout=10) as reply:
      self.assertEqual(reply.status, 200)

  def test_a_model_needs_a_name_once_there_are_several(self):
    def generate(*flags):
      return subprocess.run(
          [options.client, 'generate', f'--server={self.server.grpc_address}',
           f'--out={self.folder}/image.png', *flags],
          capture_output=True, text=True, check=False)

    self.start_server()
    only = generate()
    self.assertEqual(only.returncode, 0, only.stderr)
    self.assertIn(f'model {MODEL} version 1', only.stdout)
    self.models.wait_until_live(
        'other', self.publisher_to(self.root, 'other').publish())
    unnamed = generate()
    self.assertEqual(unnamed.returncode, 1)
    self.assertIn(f'one of: other, {MODEL}\n', unnamed.stderr)
    named = generate(f'--model={MODEL}')
    self.assertEqual(named.returncode, 0, named.stderr)

  def test_a_pin_holds_against_newer_versions_and_a_restart(self):
    model_pb = stubs[2]
    flags = [f'--state_dir={self.folder}/state', '--keep_versions=1']
    (self.folder / 'state').mkdir()
    self.start_server(*flags)
    self.publisher.publish(2)
    self.expect_live(2)
    self.models.service.PinVersion(
        model_pb.PinVersionRequest(model=MODEL, version=1), timeout=30)
    self.expect_live(1)
    self.publisher.publish(3)
    self.await_two_looks()
    self.expect_unchanged()
    self.assertEqual(self.server.terminate(), 0)

    self.start_empty_server(*flags)
    self.models.wait_until_live(MODEL, 1)
    self.expect_unchanged()
    self.models.service.UnpinVersion(
        model_pb.UnpinVersionRequest(model=MODEL), timeout=30)
    self.expect_live(3)

  def test_versions_that_the_trainer_removes_serve_on_while_loaded(self):
    self.start_server('--keep_versions=2')
    self.publisher.publish(2, '--count=3', '--keep=1')
    self.expect_live(4)
    self.assertEqual(self.publisher.complete_versions(), [1, 4])
    shutil.rmtree(self.publisher.folder / '4')
    self.await_two_looks()
    self.expect_unchanged()

  # Damaged files.

  def refused_until_mended(self, damage, *words):
    """A version comes damaged; then its files are mended where they lie."""
    self.start_server()
    prepared = self.prepare(2)
    damage(prepared)
    self.reveal(prepared)
    self.expect_refused(2, *words)
    self.mend(2)
    self.expect_live(2)

  def test_truncated(self):
    self.refused_until_mended(version_damage.truncate, 'model.safetensors')

  def test_bit_flipped(self):
    self.refused_until_mended(version_damage.flip_bit, 'model.safetensors',
                              'sha256')

  def test_weights_missing(self):
    self.refused_until_mended(version_damage.remove_weights,
                              'model.safetensors', 'no such file')

  def test_manifest_torn(self):
    self.refused_until_mended(version_damage.tear_manifest, 'manifest.json')

  def test_manifest_that_is_no_utf_8(self):
    self.refused_until_mended(version_damage.flip_high_bit_of_manifest,
                              'manifest.json', 'UTF-8')

  def test_wrong_shape(self):
    self.refused_until_mended(version_damage.change_shape_and_seal, 'shape')

  def test_unknown_tensor(self):
    self.refused_until_mended(version_damage.rename_tensor_and_seal, 'stranger')

  def test_nan(self):
    self.refused_until_mended(version_damage.put_nan_and_seal, 'NaN')

  def test_images_that_are_all_one_colour(self):
    self.refused_until_mended(version_damage.make_images_constant_and_seal,
                              'canary')

  def test_unsupported_architecture(self):
    self.refused_until_mended(version_damage.ask_for_what_nobody_has_and_seal,
                              'resblock_type', 'ddpm')

  def test_sizes_of_100_gb_are_not_believed(self):
    self.start_server()
    before_mib = self.server.memory_mib('VmHWM')
    version = 1
    for damage in (version_damage.claim_100_gb_in_manifest,
                   version_damage.claim_100_gb_in_header_and_seal,
                   version_damage.claim_a_100_gb_tensor_and_seal):
      with self.subTest(damage.__name__):
        version += 1
        prepared = self.prepare(version)
        damage(prepared)
        self.reveal(prepared)
        self.expect_refused(version, 'model.safetensors')
    if not options.sanitized:
      self.assertLess(self.server.memory_mib('VmHWM'),
                      before_mib + MEMORY_SLACK_MIB)
    self.mend(version)
    self.expect_live(version)

  def test_files_swapped_between_versions(self):
    self.start_server()
    folders = [self.prepare(2), self.prepare(3)]
    weights = [folder / version_damage.WEIGHTS for folder in folders]

    def swap():
      weights[0].rename(self.folder / 'aside')
      weights[1].rename(weights[0])
      (self.folder / 'aside').rename(weights[1])

    swap()
    for folder in folders:
      self.reveal(folder)
    weights = [self.publisher.folder / name / version_damage.WEIGHTS
               for name in ('2', '3')]
    self.expect_refused(2, 'model.safetensors', 'sha256')
    self.expect_refused(3, 'model.safetensors', 'sha256')
    swap()
    self.expect_live(3)

  def test_files_of_the_live_version_replaced_in_place(self):
    self.start_server()
    other = self.prepare(2)
    for file in other.iterdir():
      file.replace(self.publisher.folder / '1' / file.name)
    self.models.wait_for(MODEL, 1,
                         lambda state, reason: state == 'LIVE' and reason)
    self.expect_unchanged()
    self.publisher.publish(3)
    self.expect_live(3)

  def test_a_number_that_goes_backwards(self):
    self.publisher.publish(5)
    self.start_server()
    self.publisher.publish(4)
    self.models.wait_for(MODEL, 4, lambda state, reason: state == 'ON_DISK')
    self.await_two_looks()
    self.assertEqual(self.models.state(MODEL, 4), 'ON_DISK')
    self.expect_unchanged()
    self.publisher.publish(6)
    self.expect_live(6)

  # Links out of the root.

  def test_a_link_as_version_folder(self):
    self.start_server()
    outside = self.prepare(2)
    link = self.publisher.folder / '2'
    link.symlink_to(outside)
    self.expect_refused(2, 'symbolic link')
    link.unlink()
    self.reveal(outside)
    self.expect_live(2)

  def test_links_as_files(self):
    self.start_server()
    for number, name in enumerate(
        ('config.json', version_damage.WEIGHTS, 'manifest.json'), 2):
      with self.subTest(name):
        prepared = self.prepare(number)
        outside = self.folder / f'outside-{name}'
        (prepared / name).rename(outside)
        (prepared / name).symlink_to(outside)
        self.reveal(prepared)
        self.expect_refused(number, name, 'symbolic link')
        self.mend(number)
        self.expect_live(number)

  def test_a_link_as_model_folder(self):
    self.start_server()
    outside = self.publisher_to(self.folder / 'outside', 'linked')
    outside.publish(1)
    link = self.root / 'linked'
    link.symlink_to(outside.folder)
    self.await_two_looks()
    self.assertEqual(self.models.versions('linked'), {})
    with self.assertRaises(grpc.RpcError) as caught:
      self.models.generate('linked')
    self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
    link.unlink()
    outside.folder.rename(link)
    self.models.wait_until_live('linked', 1)
    self.expect_unchanged()

  # A publisher that does not come to an end.

  def test_a_publisher_killed_at_random_moments(self):
    kills = 200
    moments = random.Random(20251125)
    half_done = 0
    self.start_server()
    with hot_reload.Load(options.client, self.server, '--concurrency=1',
                         '--counts=1,4', '--seed_pool=4') as load:
      for number in range(kills):
        if number % 20 == 0:
          begin = time.monotonic()
          newest = self.publisher.publish()
          longest_s = 2 * (time.monotonic() - begin)
          self.expect_live(newest)
        left_over = self.hidden_folders()
        process = self.publisher.start()
        # Where a version is written much faster than a process starts, chance
        # alone would rarely meet one half done: every other kill waits for one.
        if number % 2:
          while process.poll() is None and self.hidden_folders() <= left_over:
            pass
        else:
          # No wait for anything: the moment of the kill.
          time.sleep(moments.uniform(0, longest_s))
        process.kill()
        process.wait()
        half_done += self.hidden_folders() != set()
      self.expect_live(self.publisher.publish())
      report, calls = load.stop()
    self.assertEqual(report['calls']['ok'], report['calls']['scheduled'])
    # The kills came early and late enough to leave some of both.
    complete = self.publisher.complete_versions()
    self.assertGreater(half_done, kills // 10)
    self.assertGreater(len(complete), kills // 10)
    self.assertEqual(complete, list(range(1, len(complete) + 1)))
    self.assertEqual(self.hidden_folders(), set())
    # Nothing half done was ever tried.
    by_result = Metrics(self.server).values('ddgan_reloads_total', 'result')
    self.assertEqual([result for result, times in by_result.items() if times],
                     ['live'])
    by_version = hot_reload.bytes_by_call(calls)
    for asked in by_version.values():
      for hashes in asked.values():
        self.assertEqual(len(hashes), 1)
    for version in list(by_version)[::len(by_version) // 3 + 1]:
      self.assertEqual(by_version[version], hot_reload.bytes_in_quiet(
          options.server, stubs, self.publisher, version, by_version[version],
          None, *FLAGS))

  def hidden_folders(self):
    """What publishers that died have left behind."""
    return {entry.name for entry in self.publisher.folder.iterdir()
            if entry.name.startswith('.')}

  def cannot_publish(self, error, **popen_arguments):
    """The next version fails with `error`, and nothing of it is to be seen."""
    before = self.publisher.complete_versions()
    done = self.publisher.try_to_publish(**popen_arguments)
    self.assertEqual(done.returncode, 1)
    self.assertIn(error, done.stderr)
    self.assertEqual(sorted(entry.name
                            for entry in self.publisher.folder.iterdir()),
                     [str(version) for version in before])
    self.expect_unchanged()

  def test_a_full_disk(self):
    weights = self.prepare(1) / version_damage.WEIGHTS
    size = weights.stat().st_size
    mount = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', f'size={4 * size}', 'ddgan',
         str(self.root)], capture_output=True, text=True, check=False)
    if mount.returncode != 0:
      self.skipTest(f'a small file system cannot be mounted: {mount.stderr}')
    self.addCleanup(subprocess.run, ['umount', '-l', str(self.root)],
                    check=True)
    self.start_server()
    filler = self.root / '.filler'
    page = os.sysconf('SC_PAGESIZE')
    pages = -(-size // page) * page
    # Room for nothing; for part of the weights; for all but the manifest.
    for room in (0, size // 2, page + pages):
      with self.subTest(room=room):
        filler.write_bytes(b'')
        status = os.statvfs(self.root)
        filler.write_bytes(bytes(status.f_bavail * status.f_frsize - room))
        self.cannot_publish('No space left on device')
    filler.unlink()
    self.expect_live(self.publisher.publish())

  def test_a_limit_on_the_size_of_files(self):
    # The nearest to a full disk for a user who cannot mount one: EFBIG.
    self.start_server()
    weights = self.publisher.folder / '1' / version_damage.WEIGHTS
    for limit in (0, 100, weights.stat().st_size - 1):
      def limit_files(limit=limit):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
      with self.subTest(limit=limit):
        self.cannot_publish('File too large', preexec_fn=limit_files)
    self.expect_live(self.publisher.publish())


def main():
  global options
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True, help='the ddgan-server binary')
  parser.add_argument('--client', required=True, help='the ddgan binary')
  parser.add_argument('--publisher', required=True,
                      help='the publish_versions binary')
  parser.add_argument('--model_root', required=True,
                      help='its first version is the one that all come from')
  parser.add_argument('--sanitized', action='store_true',
                      help='memory use says nothing')
  options, rest = parser.parse_known_args()
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
