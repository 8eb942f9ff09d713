#!/usr/bin/env python3
"""Runs a real server for a long time under everything at once, and judges it.

Calls come at random (Poisson) by TLS: single ones, streams, guided ones, some
that are cancelled, some with a deadline that is too short, some whose reader is
slow. Meanwhile new versions are published, the certificate is swapped, and one
lane of two fails for a moment, in turns. In the end:

- memory, descriptors and threads must have grown by no more than a bound, by
  linear regression over the samples after a warm-up;
- every call must have ended exactly once, for its caller and in the access log;
- every image and preview must have the bytes that a server gives which has that
  version alone and one caller, before the soak and after it.

Exit code 0 if all of that holds; 1 if not, with a sentence for each violation;
2 if the soak could not be run.

  ~/.cache/ddgan/python/bin/python tests/soak.py --minutes=60
"""

import argparse
import dataclasses
import json
import pathlib
import signal
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
# Before this folder: `soak` is the one beside the other integration tests.
sys.path.insert(0, str(REPOSITORY / 'tests' / 'integration'))

try:
  from soak import judgement
  from soak import run
except ModuleNotFoundError as missing:
  if missing.name != 'grpc':
    raise
  print('soak.py: this Python has no grpcio; use the one that '
        'docker/install_dependencies.sh --tests installs: '
        '~/.cache/ddgan/python/bin/python', file=sys.stderr)
  sys.exit(2)


def positive(text):
  value = float(text)
  if not 0 < value < float('inf'):
    raise argparse.ArgumentTypeError(f'{text} is not above 0')
  return value


def parse_arguments():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--minutes', type=positive, required=True,
                      help='how long the load lasts, at least 0.25')
  parser.add_argument('--build', type=pathlib.Path,
                      default=REPOSITORY / 'build' / 'release',
                      help='build folder with its tests (default: %(default)s)')
  parser.add_argument('--rate', type=positive,
                      help='calls per second (default: by a measurement, '
                      f'{run.LOAD:.0%} of the capacity)')
  parser.add_argument('--seed', type=int, default=1,
                      help='of everything that is drawn (default: %(default)s)')
  parser.add_argument('--json', type=pathlib.Path, metavar='FILE',
                      help='file to write the verdict to')
  parser.add_argument('--sanitized', action='store_true',
                      help="the build has a sanitizer: memory is the sanitizer's"
                      ' and not judged, and no lane fails')
  options = parser.parse_args()
  if options.minutes < 0.25:
    parser.error(f'--minutes={options.minutes:g}: each disturbance takes its '
                 'time, so at least 0.25')
  return options


def find_programs(build, sanitized):
  """As run.Soak takes them. Ends the program if one is missing."""
  integration = build / 'tests' / 'integration'
  programs = {'server': build / 'server' / 'ddgan-server',
              'publisher': integration / 'publish_versions',
              'source': integration / 'tiny_models' / 'tiny' / '1',
              'failing_lane': integration / 'libfailing_lane.so'}
  for path in programs.values():
    if not path.exists():
      print(f'soak.py: --build={build}: {path} is missing; build it with its '
            'tests and run `ctest -R import_tiny_model`', file=sys.stderr)
      sys.exit(2)
  if sanitized:
    programs['failing_lane'] = None
  return {name: path and path.resolve() for name, path in programs.items()}


def print_table(verdict):
  figures = verdict.figures
  print(f'\n{figures["calls"]} calls in {figures["seconds"]:g} s, '
        f'{figures["calls_per_second"]:.1f}/s: ' + ', '.join(
            f'{count} {kind}' for kind, count in figures['kinds'].items()))
  print('ended with ' + ', '.join(
      f'{code} {count}' for code, count in sorted(figures['ended'].items()))
        + f'; {figures["access_log_lines"]} lines in the access log')
  print(', '.join(f'{count} {name}'
                  for name, count in figures['disturbances'].items()))
  print(f'{figures["pictures_compared"]} images and previews of '
        f'{figures["versions_compared"]} versions compared, '
        f'{figures["pictures_wrong"]} wrong\n')
  print(f'{"resource":<12}{"mean":>10}{"growth":>10}{"+-":>8}{"at most":>10}'
        f'{"per hour":>10}')
  for bound in judgement.BOUNDS:
    if bound.name in verdict.trends:
      trend = verdict.trends[bound.name]
      print(f'{bound.name:<12}{trend.mean:>10.1f}{trend.growth:>10.2f}'
            f'{trend.error:>8.2f}{bound.growth:>10g}'
            f'{trend.growth / trend.span_s * 3600:>10.1f}  {bound.unit}')
  if verdict.trends:
    trend = next(iter(verdict.trends.values()))
    print(f'(growth over the {trend.span_s:.0f} s after the warm-up, '
          f'{trend.samples} samples; violated if it is above the bound by 3 '
          'standard errors)\n')


def main():
  options = parse_arguments()
  # So that what ends the soak ends its server, too.
  signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(2))
  programs = find_programs(options.build, options.sanitized)
  soak = run.Soak(programs, REPOSITORY / 'proto', options.minutes * 60,
                  options.rate, not options.sanitized, options.seed,
                  say=lambda line: print(line, flush=True))
  verdict = soak.run()
  print_table(verdict)
  if options.json:
    options.json.write_text(json.dumps({
        **verdict.figures, 'violations': verdict.violations,
        'trends': {name: dataclasses.asdict(trend)
                   for name, trend in verdict.trends.items()}}, indent=1))
  if verdict.violations:
    for violation in verdict.violations:
      print(f'VIOLATED: {violation}')
    return 1
  print('nothing was violated')
  return 0


if __name__ == '__main__':
  sys.exit(main())
