"""What a soak has shown. Pure functions: no server, no clock, no files.

Each judge returns sentences, one for each thing that was violated.
"""

import collections
import dataclasses
import math
import statistics

MAX_EXAMPLES = 3  # Of each kind of violation, or one fault fills the screen.

# Codes that a call may end with at any time, although its caller did not ask
# for it: the server is full.
_REFUSED = {'RESOURCE_EXHAUSTED'}
# And those that it may end with while lanes fail.
_FAILED_LANE = {'INTERNAL', 'UNAVAILABLE', 'RESOURCE_EXHAUSTED'}


@dataclasses.dataclass(frozen=True)
class Bound:
  """How much a resource may grow over the measured time, in its unit."""
  name: str
  unit: str
  growth: float


BOUNDS = (Bound('memory', 'MiB', 16), Bound('descriptors', '', 8),
          Bound('threads', '', 4))


@dataclasses.dataclass(frozen=True)
class Trend:
  """A line by least squares through the samples after the warm-up."""
  samples: int
  span_s: float
  mean: float
  growth: float  # Of the line, over the span.
  error: float  # Standard error of the growth.

  @property
  def sure_growth(self):
    """What of the growth is no accident of the samples: less 3 errors."""
    return self.growth - 3 * self.error


def warm_up_s(duration_s):
  """Caches, arenas and pools fill up; what comes then is judged."""
  return min(300, duration_s / 4)


def trend(samples, begin_s):
  """Of the (seconds, value) from begin_s on.

  ValueError if fewer than ten are left: a slope of them would say nothing.
  """
  kept = [sample for sample in samples if sample[0] >= begin_s]
  if len(kept) < 10:
    raise ValueError(f'{len(kept)} samples after {begin_s:.0f} s; a trend takes '
                     '10')
  times, values = zip(*kept)
  slope, intercept = statistics.linear_regression(times, values)
  span = times[-1] - times[0]
  residuals = sum((value - intercept - slope * time)**2 for time, value in kept)
  middle = statistics.fmean(times)
  spread = sum((time - middle)**2 for time in times)
  error = math.sqrt(residuals / (len(kept) - 2) / spread)
  return Trend(len(kept), span, statistics.fmean(values), slope * span,
               error * span)


def judge_trend(bound, found):
  if found.sure_growth <= bound.growth:
    return []
  return [f'{bound.name} grew by {found.growth:.1f} +- {found.error:.1f} '
          f'{bound.unit}'.rstrip() + f' in {found.span_s:.0f} s; at most '
          f'{bound.growth:g} is allowed']


@dataclasses.dataclass
class Call:
  """One call as its caller saw it. Times are seconds of one clock."""
  trace_id: str
  kind: str
  began_s: float
  ended_s: float = 0
  codes: list = dataclasses.field(default_factory=list)  # One, if all is well.
  # From the server's trailers; empty if the end did not come from the server.
  request_id: str = ''
  left: bool = False  # The caller cancelled, or gave it little time.


def _few(violations):
  if len(violations) <= MAX_EXAMPLES:
    return violations
  return [*violations[:MAX_EXAMPLES],
          f'... and {len(violations) - MAX_EXAMPLES} more like these']


def judge_ends(calls, lines):
  """Whether every call ended once, for its caller and in the access log.

  `lines` are the log's objects of ImageGeneration. A call whose caller got the
  server's word has exactly one line, of its request id and its code; one that
  its caller left has at most one, since it may never have arrived.
  """
  by_trace = collections.defaultdict(list)
  for line in lines:
    by_trace[line.get('trace_id', '')].append(line)
  kinds = collections.defaultdict(list)
  for call in calls:
    name = f'call {call.trace_id} ({call.kind})'
    found = by_trace.pop(call.trace_id, [])
    if not call.codes:
      kinds['unended'].append(f'{name} never ended for its caller')
    elif len(call.codes) > 1:
      kinds['twice'].append(
          f'{name} ended {len(call.codes)} times for its caller: {call.codes}')
    if len(found) > 1:
      kinds['log'].append(
          f'{name} has {len(found)} lines in the access log: '
          f'{[line.get("code") for line in found]}')
    elif call.request_id and not found:
      kinds['lost'].append(f'{name} was answered and has no line in the access '
                           'log')
    elif call.codes and not call.request_id and not call.left:
      kinds['silent'].append(f'{name} ended with {call.codes[0]} without the '
                             "server's word")
    elif call.request_id and (
        found[0].get('request_id') != call.request_id
        or found[0].get('code') != call.codes[0]):
      kinds['unlike'].append(
          f'{name} ended with {call.codes[0]} as {call.request_id}; the access '
          f'log says {found[0].get("code")} as {found[0].get("request_id")}')
  for trace_id, found in by_trace.items():
    kinds['unknown'].append(
        f'the access log has {len(found)} lines of {trace_id or "no trace"}, '
        'which nobody called')
  repeated = [request_id for request_id, times in collections.Counter(
      line.get('request_id') for line in lines).items() if times > 1]
  kinds['repeated'] = [f'the access log has request id {request_id} twice'
                       for request_id in repeated]
  return [one for violations in kinds.values() for one in _few(violations)]


def judge_codes(calls, faults):
  """Whether each call ended as it may: OK, unless it was left, or the server
  was full, or it ran in one of the (begin, end) when lanes failed."""
  wrong = []
  for call in calls:
    for code in call.codes:
      met_fault = any(begin <= call.ended_s and call.began_s <= end
                      for begin, end in faults)
      if not (code == 'OK' or code in _REFUSED
              or call.left and code in {'CANCELLED', 'DEADLINE_EXCEEDED'}
              or met_fault and code in _FAILED_LANE):
        wrong.append(f'call {call.trace_id} ({call.kind}) ended with {code}, '
                     'and no lane was failing')
  return _few(wrong)


def judge_stream(events, first_index, count):
  """Of a stream that ended with OK; `events` are (name, index or None)."""
  names = [name for name, _ in events]
  indices = sorted(index for name, index in events if name == 'image')
  if names[:1] != ['accepted'] or names.count('accepted') != 1:
    return ['a stream did not begin with one `accepted`']
  if names[-1:] != ['summary'] or names.count('summary') != 1:
    return ['a stream that was OK did not end with one `summary`']
  if indices != list(range(first_index, first_index + count)):
    return [f'a stream of {count} images from {first_index} brought {indices}']
  return []


class Bytes:
  """Compares what callers get with what the quiet server gave.

  `expected`: digest by (version, seed, index, format, guided, step); step is 0
  for an image, and for a preview how many steps are left.
  """

  def __init__(self, expected):
    self._expected = expected
    self._wrong = []
    self.compared = collections.Counter()  # By version.

  @property
  def wrong(self):
    return len(self._wrong)

  def see(self, key, digest):
    self.compared[key[0]] += 1
    expected = self._expected.get(key)
    if expected != digest:
      what = 'other bytes than the quiet server gave' if expected else (
          'an image that the quiet server was not asked for')
      self._wrong.append('version {}, seed {}, index {}, {}, guided {}, step '
                         '{}: '.format(*key) + what)

  def judge(self):
    return _few(self._wrong)


def judge_rest(requests_total, lines, lost_lines, left_over, exit_code):
  """What the server says of itself at the end.

  `left_over`: what should be 0 when nobody calls any more, by its name.
  """
  violations = []
  if lost_lines:
    violations.append(f'the server lost {lost_lines:.0f} lines of the access log')
  if requests_total != lines:
    violations.append(f'ddgan_requests_total is {requests_total:.0f} and the '
                      f'access log has {lines} lines')
  for name, value in left_over.items():
    if value:
      violations.append(f'{name} is {value:g} with no call left')
  if exit_code != 0:
    violations.append(f'the server ended with exit code {exit_code}')
  return violations


def judge_coverage(counts):
  """A soak in which something did not happen has shown nothing of it."""
  return [f'nothing was shown of {name}: there was none'
          for name, count in counts.items() if not count]
