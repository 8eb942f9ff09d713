#!/usr/bin/env python3
"""Removes behaviours of engine and server one at a time: is each one noticed?

Coverage says which lines run under test, not whether a test would fail without
them. This does: each entry of the lists beside this file takes one behaviour
out of a source file and names the tests of which at least one must fail then.

The work is done in a copy of the checkout, built without LibTorch. A behaviour
takes the compilation of one file and the run of the tests that are named.

usage: tests/behaviours/remove_behaviours.py [--only=WORD] [--work=FOLDER]
       tests/behaviours/remove_behaviours.py --check

  --check        Build nothing; say whether the lists still fit the sources.
  --only=WORD    Only behaviours whose name has this word.
  --work=FOLDER  Keep copy and build here, so that the next run is quicker.
                 Default: a temporary folder.
  --jobs=N       Compilations at a time. Default: the number of CPUs.
  --all-tests    Run each behaviour's whole test program, and name all tests
                 that notice: for whoever adds an entry.

Exit status: 0 if each behaviour is noticed, 1 if one is not, 2 if the lists do
not fit the sources or something does not build.
"""
import argparse
import filecmp
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import engine_behaviours
import server_behaviours

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BEHAVIOURS = engine_behaviours.BEHAVIOURS + server_behaviours.BEHAVIOURS

# A test that waits for what was removed hangs; no test of these programs takes
# a tenth of this.
TEST_TIMEOUT_S = 180


def fail(message):
    print(f'remove_behaviours.py: {message}', file=sys.stderr)
    sys.exit(2)


def names_of_tests():
    """All tests in the sources, as GoogleTest names them: "Suite.Name"."""
    pattern = re.compile(r'\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)')
    return {f'{suite}.{name}' for file in (ROOT / 'tests').rglob('*.cc')
            for suite, name in pattern.findall(file.read_text())}


def check_lists(all_tests):
    """What is wrong with the lists, one sentence each."""
    wrong = []
    tests = names_of_tests()
    seen = set()
    for behaviour in BEHAVIOURS:
        if behaviour.name in seen:
            wrong.append(f'"{behaviour.name}" stands twice')
        seen.add(behaviour.name)
        source = ROOT / behaviour.file
        count = source.read_text().count(behaviour.text) if source.exists() else 0
        if count != 1:
            wrong.append(f'"{behaviour.name}": its text occurs {count} times in {behaviour.file}')
        if behaviour.text == behaviour.replacement:
            wrong.append(f'"{behaviour.name}" replaces a text by itself')
        if not behaviour.tests and not all_tests:
            wrong.append(f'"{behaviour.name}" names no test')
        wrong += [f'"{behaviour.name}": there is no test {test}'
                  for test in behaviour.tests if test not in tests]
    return wrong


def copy_checkout(copy):
    """Makes `copy` like the checkout, leaving alone the times of what is alike."""
    listed = subprocess.run(
        ['git', '-C', ROOT, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        check=True, capture_output=True, text=True).stdout.split('\0')
    files = {name for name in listed if name and (ROOT / name).is_file()}
    for name in files:
        source, target = ROOT / name, copy / name
        if target.is_file() and filecmp.cmp(source, target, shallow=False):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    for target in copy.rglob('*'):
        name = str(target.relative_to(copy))
        if target.is_file() and name not in files and not name.startswith('build/'):
            target.unlink()


class Workshop:
    """A copy of the checkout with a build folder in it."""

    def __init__(self, folder, jobs):
        self.copy = folder / 'checkout'
        self.build_folder = self.copy / 'build' / 'behaviours'
        self.jobs = jobs
        copy_checkout(self.copy)
        configured = subprocess.run(
            ['cmake', '-S', self.copy, '-B', self.build_folder, '-G', 'Ninja',
             '-DCMAKE_BUILD_TYPE=Release', '-DDDGAN_WITH_TORCH=OFF'],
            capture_output=True, text=True)
        if configured.returncode != 0:
            fail(f'cmake failed:\n{configured.stdout}{configured.stderr}')

    def build(self, programs):
        """None, or what the compiler says."""
        built = subprocess.run(['ninja', '-C', self.build_folder, f'-j{self.jobs}', *programs],
                               capture_output=True, text=True)
        return None if built.returncode == 0 else built.stdout[-4000:]

    def run_tests(self, program, pattern):
        """The tests that fail; one that crashes or hangs is the last."""
        path = next(self.build_folder.glob(f'tests/**/{program}'))
        command = [path, f'--gtest_filter={pattern}', '--gtest_brief=0', '--gtest_color=no']
        try:
            result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, timeout=TEST_TIMEOUT_S)
            output, hangs = result.stdout, False
        except subprocess.TimeoutExpired as expired:
            output, hangs = expired.stdout or b'', True
        output = output.decode(errors='replace')
        # Names of values may follow.
        begun = re.findall(r'^\[ RUN      \] (\S+)', output, re.MULTILINE)
        passed = set(re.findall(r'\[       OK \] (\S+)', output))
        if not begun and not hangs:
            fail(f'{program} has no test {pattern}')
        failed = [test for test in begun if test not in passed]
        if hangs and failed:
            failed[-1] += ' (hangs)'
        return failed

    def remove(self, behaviour):
        """Puts the source with the behaviour removed in place. Its own text."""
        source = self.copy / behaviour.file
        whole = source.read_text()
        source.write_text(whole.replace(behaviour.text, behaviour.replacement))
        return source, whole


def pattern_of(behaviour, all_tests):
    # The second form is that of a test with parameters.
    return '*' if all_tests else ':'.join(
        f'{test}:*/{test}/*' for test in behaviour.tests)


def examine(behaviours, workshop, all_tests):
    """Prints the table. Names of behaviours that nothing notices, or no build."""
    programs = sorted({behaviour.program for behaviour in behaviours})
    errors = workshop.build(programs)
    if errors:
        fail(f'the checkout does not build:\n{errors}')
    for program in programs:
        patterns = [pattern_of(b, all_tests) for b in behaviours if b.program == program]
        failed = workshop.run_tests(program, ':'.join(dict.fromkeys(patterns)))
        if failed:
            fail(f'with every behaviour in place there fails: {", ".join(failed)}')

    unnoticed = []
    for behaviour in behaviours:
        start = time.monotonic()
        source, whole = workshop.remove(behaviour)
        try:
            errors = workshop.build([behaviour.program])
            failed = [] if errors else workshop.run_tests(
                behaviour.program, pattern_of(behaviour, all_tests))
        finally:
            source.write_text(whole)
        if errors:
            print(errors)
            verdict = 'DOES NOT BUILD'
        else:
            verdict = ', '.join(failed) if failed else 'NOT NOTICED'
        if not failed:
            unnoticed.append(behaviour.name)
        print(f'{behaviour.name} ({behaviour.file})\n    {verdict}, '
              f'{time.monotonic() - start:.0f} s', flush=True)
    return unnoticed


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1], add_help=False)
    parser.add_argument('--check', action='store_true')
    parser.add_argument('--only', default='')
    parser.add_argument('--work', type=pathlib.Path)
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--all-tests', action='store_true')
    options = parser.parse_args()

    wrong = check_lists(options.all_tests)
    if wrong:
        fail('\n'.join(['the lists do not fit the sources:', *wrong]))
    if options.check:
        print(f'{len(BEHAVIOURS)} behaviours, each once in the sources')
        return
    behaviours = [b for b in BEHAVIOURS if options.only in b.name]
    if not behaviours:
        fail(f'no behaviour has "{options.only}" in its name')
    with tempfile.TemporaryDirectory(prefix='ddgan_behaviours_') as folder:
        workshop = Workshop((options.work or pathlib.Path(folder)).resolve(), options.jobs)
        unnoticed = examine(behaviours, workshop, options.all_tests)
    print(f'{len(behaviours) - len(unnoticed)} of {len(behaviours)} noticed')
    if unnoticed:
        print('\n'.join(['not noticed:', *unnoticed]))
        sys.exit(1)


if __name__ == '__main__':
    main()
