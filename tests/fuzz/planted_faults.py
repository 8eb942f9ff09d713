#!/usr/bin/env python3
"""Tries whether the fuzz targets find faults.

Plants one fault in what each target feeds, and lets libFuzzer look for it from
the seeds, for 60 s at most. Nothing in the checkout is touched: a copy of the
one source with the fault is compiled, and linked in the place of the sound one.
Prints a line for each fault and ends with 1 if one was not found. Uses what
`cmake --preset fuzz` and `ninja -C build/fuzz fuzz_targets` made, and makes it.

usage: tests/fuzz/planted_faults.py [TARGET...]
       tests/fuzz/planted_faults.py --check

  --check  Build nothing; say whether the faults still fit the sources.
"""
import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

from planted_faults_list import FAULTS

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / 'build' / 'fuzz'
SECONDS = 60
# As tests/fuzz/run.sh.
LIMITS = ['-max_len=65536', '-timeout=25', '-rss_limit_mb=2560']


def check_list():
    """What is wrong with the list, one sentence each."""
    wrong = []
    for fault in FAULTS:
        file = ROOT / fault.file
        count = file.read_text().count(fault.line) if file.exists() else 0
        if count != 1:
            wrong.append(f'{fault.file}: "{fault.line}" is there {count} times, wanted once')
    planted = {fault.target for fault in FAULTS}
    targets = {file.stem for file in (ROOT / 'tests/fuzz').glob('fuzz_*.cc')}
    wrong += [f'{target}: no fault is planted for it' for target in sorted(targets - planted)]
    wrong += [f'{target}: no such target' for target in sorted(planted - targets)]
    return wrong


def run(command):
    subprocess.run(command, cwd=BUILD, check=True, stdout=subprocess.DEVNULL)


def programs():
    """The program and the folder of seeds of each target."""
    found = {}
    for line in (BUILD / 'fuzz_targets.txt').read_text().splitlines():
        program, seeds = line.split()
        found[pathlib.Path(program).name] = program, seeds
    return found


def with_other_output(command, output):
    words = shlex.split(command)
    words[words.index('-o') + 1] = str(output)
    return words


def compile_planted(fault, folder):
    """The object of the fault's file with the fault in it."""
    source = folder / fault.file
    source.parent.mkdir(parents=True)
    source.write_text((ROOT / fault.file).read_text().replace(fault.line, fault.planted))
    sound = str(ROOT / fault.file)
    commands = json.loads((BUILD / 'compile_commands.json').read_text())
    [command] = [entry['command'] for entry in commands if entry['file'] == sound]
    made = folder / 'planted.o'
    words = with_other_output(command, made)
    words[words.index(sound)] = str(source)
    # What is not used any more is part of the fault.
    run([*words, '-w'])
    return made


def link_planted(target, made, folder):
    """The program with that object: a library's own is left out once it is there."""
    printed = subprocess.run(['ninja', '-t', 'commands', target], cwd=BUILD, check=True,
                             capture_output=True, text=True).stdout
    last = printed.splitlines()[-1]
    link = re.fullmatch(r': && (.*) && :', last)
    if link is None:
        sys.exit(f'{target}: cannot read how it is linked: {last}')
    program = folder / target
    words = with_other_output(link.group(1), program)
    words.insert(words.index('-o'), str(made))
    run(words)
    return program


def fuzz(program, seeds, arguments):
    """Whether libFuzzer found something, and its log."""
    with tempfile.TemporaryDirectory() as folder:
        # New inputs go to the first folder, which no later run is to see.
        learnt = pathlib.Path(folder) / 'learnt'
        learnt.mkdir()
        result = subprocess.run(
            [program, *LIMITS, *arguments, f'-artifact_prefix={folder}/', learnt, seeds],
            capture_output=True, text=True, errors='replace',
            env=os.environ | {'TMPDIR': folder})
    return result.returncode != 0, result.stderr


def try_fault(fault, sound, seeds):
    """Seconds and inputs until it is found; None if it is not."""
    found, log = fuzz(sound, seeds, ['-runs=0'])
    if found:
        sys.exit(f'{fault.target} fails without a fault:\n{log}')
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        planted = link_planted(fault.target, compile_planted(fault, folder), folder)
        start = time.monotonic()
        found, log = fuzz(planted, seeds, [f'-max_total_time={SECONDS}'])
        seconds = time.monotonic() - start
    runs = re.findall(r'^#(\d+)', log, re.MULTILINE)
    return (seconds, int(runs[-1]) if runs else 0) if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('target', nargs='*')
    parser.add_argument('--check', action='store_true')
    arguments = parser.parse_args()
    if wrong := check_list():
        sys.exit('\n'.join(wrong))
    if arguments.check:
        return
    tried = [fault for fault in FAULTS
             if not arguments.target or fault.target in arguments.target]
    subprocess.run(['cmake', '--preset', 'fuzz'], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    run(['ninja', '-j2', *sorted({fault.target for fault in tried})])
    made = programs()
    missed = 0
    print(f'{"target":22} {"found after":>11} {"inputs":>8}  fault', flush=True)
    for fault in tried:
        found = try_fault(fault, *made[fault.target])
        missed += found is None
        after, inputs = ('never', '') if found is None else (f'{found[0]:.1f} s', found[1])
        print(f'{fault.target:22} {after:>11} {inputs:>8}  {fault.what}', flush=True)
    print(f'{len(tried) - missed} of {len(tried)} were found')
    sys.exit(missed != 0)


if __name__ == '__main__':
    main()
