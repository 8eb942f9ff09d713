#!/usr/bin/env python3
"""Proves with clang that what a mutex guards is used under it (-Wthread-safety).

GCC compiles the annotations away, so every source file that has some, in
itself or in its own header, is parsed once by clang. No object is made.

usage: tests/thread_safety.py [BUILD_FOLDER]     (default: build/release)
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPILER = 'clang++-14'
CHECKS = ['-fsyntax-only', '-Wthread-safety', '-Werror=thread-safety',
          '-Wno-unknown-warning-option', '-Wno-unused-command-line-argument']


def is_annotated(source):
    files = [source, source.with_suffix('.h')]
    return any(file.exists() and 'thread_annotations.h' in file.read_text()
               for file in files)


def arguments_of(command):
    """What clang needs of a compile command: macros, folders, standard."""
    kept, take_next = [], False
    for word in shlex.split(command):
        if take_next or word.startswith(('-I', '-D', '-std=')):
            kept.append(word)
            take_next = False
        elif word == '-isystem':
            kept.append(word)
            take_next = True
    return kept


def check(entry):
    result = subprocess.run(
        [COMPILER, *CHECKS, *arguments_of(entry['command']), entry['file']],
        cwd=entry['directory'], capture_output=True, text=True)
    return entry['file'], result.returncode, result.stderr


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / 'build/release')
    commands = json.loads((build / 'compile_commands.json').read_text())
    entries = {}
    for entry in commands:
        file = pathlib.Path(entry['file'])
        if (file.suffix == '.cc' and file.is_relative_to(ROOT)
                and not file.is_relative_to(ROOT / 'tests')
                and not file.is_relative_to(build.resolve()) and is_annotated(file)):
            entries[file] = entry
    if not entries:
        sys.exit('thread_safety.py: no annotated file found; this checks nothing')
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, code, messages in pool.map(check, entries.values()):
            if code != 0:
                failed += 1
                print(messages, file=sys.stderr)
    print(f'thread_safety.py: {len(entries)} files, {failed} failed')
    sys.exit(failed != 0)


if __name__ == '__main__':
    main()
