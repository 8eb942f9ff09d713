"""Cases against a scripted server (fake_server.py)."""

import ddgan
from fake_server import FakeServer

QUICK = ddgan.RetryPolicy(initial_backoff=0.001)


class ScriptedCases:
  """Mixed into a test case, beside SyncCases or AsyncCases."""

  def setUp(self):
    self.server = FakeServer()
    self.addCleanup(self.server.close)
    self.retries = []

  def quick(self, **arguments):
    return self.client(
        self.server.address, retry=QUICK,
        on_retry=lambda error, delay: self.retries.append((error.code, delay)),
        **arguments)

  def assert_error(self, code, call, *words):
    with self.assertRaises(ddgan.Error) as caught:
      call()
    self.assertEqual(caught.exception.code, code, caught.exception)
    for word in words:
      self.assertIn(word, caught.exception.details)
    return caught.exception
