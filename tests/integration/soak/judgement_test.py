"""A soak's judgement notices what it is there for."""

import random
import unittest

import judgement
from judgement import Bytes
from judgement import Call

MEMORY = judgement.BOUNDS[0]


def samples(growth, noise=4, duration_s=600):
  """Memory that grows by so much in all; noise is its standard deviation."""
  draw = random.Random(1)
  return [(second, 100 + growth * second / duration_s + draw.gauss(0, noise))
          for second in range(duration_s + 1)]


def call(number=1, code='OK', **fields):
  return Call(f'{number:032x}', 'unary', began_s=1, ended_s=2, codes=[code],
              **{'request_id': f'{number:016x}', **fields})


def line(number=1, code='OK', **fields):
  return {'trace_id': f'{number:032x}', 'request_id': f'{number:016x}',
          'code': code, **fields}


class TrendTest(unittest.TestCase):

  def test_noise_is_no_leak(self):
    found = judgement.trend(samples(growth=0), 60)
    self.assertEqual(found.samples, 541)
    self.assertAlmostEqual(found.mean, 100, delta=1)
    self.assertEqual(judgement.judge_trend(MEMORY, found), [])

  def test_a_planted_leak_is_noticed(self):
    found = judgement.trend(samples(growth=20), 0)
    self.assertAlmostEqual(found.growth, 20, delta=2)
    self.assertRegex(judgement.judge_trend(MEMORY, found)[0],
                     r'memory grew by \S+ \+- \S+ MiB in 600 s; at most 16 ')

  def test_growth_within_the_warm_up_is_not_judged(self):
    grown = [(second, min(second, 100)) for second in range(400)]
    self.assertEqual(judgement.judge_trend(MEMORY, judgement.trend(grown, 100)),
                     [])
    self.assertTrue(judgement.judge_trend(MEMORY, judgement.trend(grown, 0)))

  def test_every_resource_has_its_bound(self):
    for bound in judgement.BOUNDS:
      for growth, violated in ((0.9, False), (1.1, True)):
        line_up = [(second, 50 + bound.growth * growth * second / 99)
                   for second in range(100)]
        self.assertEqual(
            bool(judgement.judge_trend(bound, judgement.trend(line_up, 0))),
            violated, bound)

  def test_few_samples_say_nothing(self):
    with self.assertRaisesRegex(ValueError, '9 samples after 2 s'):
      judgement.trend([(second, 1) for second in range(11)], 2)


class EndsTest(unittest.TestCase):

  def judge(self, calls, lines, *words):
    """What is violated, which must be one sentence with these words."""
    violations = judgement.judge_ends(calls, lines)
    self.assertEqual(len(violations), 1 if words else 0, violations)
    for word in words:
      self.assertIn(word, violations[0])

  def test_calls_that_ended_once_are_good(self):
    self.judge([call(1), call(2, 'INTERNAL')], [line(2, 'INTERNAL'), line(1)])

  def test_a_call_that_was_left_may_have_a_line_of_any_code_or_none(self):
    left = call(1, 'CANCELLED', request_id='', left=True)
    self.judge([left], [])
    self.judge([left], [line(1, 'OK')])

  def test_a_call_that_ended_twice_in_the_log(self):
    self.judge([call()], [line(), line(code='CANCELLED', request_id='b' * 16)],
               '2 lines', "['OK', 'CANCELLED']")

  def test_a_call_that_was_left_and_ended_twice_in_the_log(self):
    self.judge([call(code='CANCELLED', request_id='', left=True)],
               [line(), line(request_id='b' * 16)], '2 lines')

  def test_a_call_that_ended_twice_for_its_caller(self):
    twice = call()
    twice.codes.append('INTERNAL')
    self.judge([twice], [line()], 'ended 2 times', "['OK', 'INTERNAL']")

  def test_a_call_that_never_ended(self):
    self.judge([Call(f'{1:032x}', 'stream', 1)], [], 'never ended', 'stream')

  def test_a_call_that_was_lost_on_the_way(self):
    self.judge([call(code='UNAVAILABLE', request_id='')], [],
               "without the server's word")

  def test_an_answer_that_the_log_does_not_know(self):
    self.judge([call(1), call(2)], [line(1)], 'has no line', f'{2:032x}')

  def test_a_log_that_says_something_else(self):
    self.judge([call()], [line(code='INTERNAL')], 'ended with OK',
               'says INTERNAL')
    self.judge([call()], [line(request_id='b' * 16)], 'b' * 16)

  def test_a_line_that_nobody_called_for(self):
    self.judge([], [line()], 'nobody called')

  def test_a_request_id_that_is_there_twice(self):
    self.judge([call(1), call(2, request_id=f'{1:016x}')],
               [line(1), line(2, request_id=f'{1:016x}')], 'twice')

  def test_many_violations_of_a_kind_are_cut_short(self):
    violations = judgement.judge_ends([call(n) for n in range(10)], [])
    self.assertEqual(len(violations), 4)
    self.assertIn('7 more', violations[-1])


class CodesTest(unittest.TestCase):

  def test_only_what_was_to_be_expected(self):
    faults = [(10, 20)]
    good = [call(code='OK'), call(code='RESOURCE_EXHAUSTED'),
            call(code='CANCELLED', left=True),
            call(code='DEADLINE_EXCEEDED', left=True)]
    self.assertEqual(judgement.judge_codes(good, faults), [])
    for code, fields in (('INTERNAL', {}), ('INTERNAL', {'left': True}),
                         ('CANCELLED', {}), ('DEADLINE_EXCEEDED', {}),
                         ('UNAVAILABLE', {}), ('UNKNOWN', {})):
      violations = judgement.judge_codes([call(code=code, **fields)], faults)
      self.assertEqual(len(violations), 1, code)
      self.assertIn(code, violations[0])

  def test_a_failing_lane_excuses_calls_of_its_time_alone(self):
    failed = [call(code='INTERNAL')]  # From 1 to 2.
    for fault, excused in (((0, 3), True), ((1.5, 1.6), True), ((2, 9), True),
                           ((0, 1), True), ((0, 0.9), False), ((2.1, 9), False)):
      self.assertEqual(judgement.judge_codes(failed, [fault]) == [], excused,
                       fault)
    self.assertTrue(judgement.judge_codes([call(code='UNKNOWN')], [(0, 3)]))


class StreamTest(unittest.TestCase):

  GOOD = [('accepted', None), ('image', 8), ('preview', 7), ('image', 7),
          ('summary', None)]

  def test_one_of_each(self):
    self.assertEqual(judgement.judge_stream(self.GOOD, 7, 2), [])

  def test_whatever_is_lost_or_doubled_is_noticed(self):
    for at, (name, _) in enumerate(self.GOOD):
      if name != 'preview':
        lost = self.GOOD[:at] + self.GOOD[at + 1:]
        doubled = self.GOOD[:at + 1] + self.GOOD[at:]
        self.assertEqual(len(judgement.judge_stream(lost, 7, 2)), 1, lost)
        self.assertEqual(len(judgement.judge_stream(doubled, 7, 2)), 1, doubled)
    self.assertTrue(judgement.judge_stream([], 7, 2))


class BytesTest(unittest.TestCase):

  def test_a_wrong_byte_is_noticed(self):
    key = (3, 1, 0, 'png', False, 0)
    seen = Bytes({key: b'right'})
    seen.see(key, b'right')
    self.assertEqual((seen.judge(), seen.compared), ([], {3: 1}))
    seen.see(key, b'wrong')
    self.assertEqual(seen.wrong, 1)
    self.assertIn('version 3, seed 1, index 0, png', seen.judge()[0])

  def test_what_the_quiet_server_never_made_is_noticed(self):
    seen = Bytes({})
    seen.see((3, 1, 0, 'png', False, 0), b'right')
    self.assertIn('was not asked for', seen.judge()[0])


class RestTest(unittest.TestCase):

  def test_each_thing_that_is_left(self):
    good = {'requests_total': 5, 'lines': 5, 'lost_lines': 0,
            'left_over': {'ddgan_reply_bytes': 0}, 'exit_code': 0}
    self.assertEqual(judgement.judge_rest(**good), [])
    for field, value, word in (('requests_total', 6, 'access log has 5'),
                               ('lost_lines', 2, 'lost 2'),
                               ('left_over', {'ddgan_reply_bytes': 7},
                                'ddgan_reply_bytes is 7'),
                               ('exit_code', -11, 'exit code -11')):
      violations = judgement.judge_rest(**{**good, field: value})
      self.assertEqual(len(violations), 1)
      self.assertIn(word, violations[0])

  def test_what_did_not_happen_has_shown_nothing(self):
    self.assertEqual(judgement.judge_coverage({'reloads': 1}), [])
    self.assertIn('reloads', judgement.judge_coverage({'reloads': 0})[0])


if __name__ == '__main__':
  unittest.main()
