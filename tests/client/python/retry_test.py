"""Whether a failed call is worth another attempt, and when."""

import math
import unittest

import grpc

import ddgan
from ddgan import _retry

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def delay(code=UNAVAILABLE, hint=None, attempt=1, time_left=math.inf,
          jitter=0.5, **policy):
  return _retry.delay_before_retry(
      ddgan.RetryPolicy(**policy), attempt,
      ddgan.Error(code, 'on purpose', retry_after=hint), time_left, jitter)


class RetryTest(unittest.TestCase):

  def test_waits_twice_as_long_each_time_up_to_the_cap(self):
    self.assertEqual(
        [round(delay(attempt=n, max_attempts=2000), 6)
         for n in (1, 2, 3, 4, 5, 6, 7, 1999)],
        [0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5])

  def test_spreads_the_wait_by_jitter(self):
    self.assertAlmostEqual(delay(jitter=0), 0.16)
    self.assertAlmostEqual(delay(jitter=0.999999), 0.24, places=5)

  def test_gives_up_after_the_last_attempt(self):
    self.assertIsNotNone(delay(attempt=4))
    self.assertIsNone(delay(attempt=5))
    self.assertIsNone(delay(max_attempts=1))

  def test_gives_up_on_what_will_not_pass(self):
    for code in grpc.StatusCode:
      if code not in (UNAVAILABLE, EXHAUSTED):
        self.assertIsNone(delay(code, hint=0.1), code)
    self.assertIsNone(delay(EXHAUSTED))

  def test_follows_the_servers_hint_and_never_comes_earlier(self):
    for code in (UNAVAILABLE, EXHAUSTED):
      self.assertAlmostEqual(delay(code, hint=3, jitter=0), 3)
      self.assertAlmostEqual(delay(code, hint=3, jitter=0.5), 3.3)
    self.assertEqual(delay(EXHAUSTED, hint=0.0), 0)

  def test_gives_up_when_the_server_asks_for_too_long(self):
    self.assertIsNotNone(delay(hint=60))
    self.assertIsNone(delay(hint=60.001))
    self.assertIsNone(delay(hint=math.inf))
    self.assertIsNone(delay(hint=math.inf, max_pushback=math.inf))

  def test_begins_no_wait_that_the_deadline_would_cut_short(self):
    self.assertIsNone(delay(time_left=0.2))
    self.assertIsNotNone(delay(time_left=0.201))
    self.assertIsNone(delay(hint=1, time_left=1.05))

  def test_reads_the_servers_hint(self):
    for trailer, seconds in (('0', 0), ('1500', 1.5), (' 20 ', 0.02),
                             ('+7', 0.007), (str(2**63 - 1), 2**63 / 1000)):
      self.assertAlmostEqual(_retry.parse_pushback(trailer), seconds)
    for trailer in ('', '-1', 'soon', '1.5', '1_000', '0x10', '١', str(2**63),
                    5000 * '9'):
      self.assertEqual(_retry.parse_pushback(trailer), math.inf, trailer)

  def test_counts_attempts_and_time(self):
    now = [100.0]
    deadline = _retry.Deadline(1.0, clock=lambda: now[0])
    attempts = _retry.Attempts(ddgan.RetryPolicy(), deadline, lambda: 0.5)
    error = ddgan.Error(UNAVAILABLE, '')
    self.assertAlmostEqual(attempts.delay_after(error), 0.2)
    now[0] = 100.5
    self.assertAlmostEqual(deadline.for_grpc(), 0.5)
    self.assertAlmostEqual(attempts.delay_after(error), 0.4)
    self.assertIsNone(attempts.delay_after(error))  # 0.8 s of 0.5 s.
    now[0] = 102
    self.assertEqual(deadline.for_grpc(), 0)
    self.assertIsNone(_retry.Deadline(math.inf).for_grpc())
    # gRPC takes a time beyond its clock for one that is past.
    self.assertIsNone(_retry.Deadline(float(2**63)).for_grpc())

  def test_a_policy_names_what_is_out_of_range(self):
    for name, value in (('max_attempts', 0), ('initial_backoff', -1),
                        ('max_backoff', math.nan), ('max_pushback', -0.1)):
      with self.assertRaisesRegex(ValueError, f'{name}: {value}; must be'):
        ddgan.RetryPolicy(**{name: value})
    for name, value in (('max_attempts', 2.5), ('max_attempts', True),
                        ('initial_backoff', 'x'), ('max_backoff', None)):
      with self.assertRaisesRegex(TypeError, name):
        ddgan.RetryPolicy(**{name: value})


if __name__ == '__main__':
  unittest.main(verbosity=2)
