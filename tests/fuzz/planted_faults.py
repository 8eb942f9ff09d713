#!/usr/bin/env python3
"""Tries whether the fuzz targets find faults.

Plants one fault in what each target feeds, builds the target and lets libFuzzer
look for it from the seeds, for 60 s at most. All of it in a copy of the
checkout, build/planted_faults. Prints a line for each fault and ends with 1 if
one was not found.

usage: tests/fuzz/planted_faults.py [TARGET...]
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import typing

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPY = ROOT / 'build' / 'planted_faults'
SECONDS = 60
# As tests/fuzz/run.sh.
LIMITS = ['-max_len=65536', '-timeout=25', '-rss_limit_mb=2560']


class Fault(typing.NamedTuple):
    target: str
    what: str
    file: str
    line: str  # Is in the file once.
    planted: str


FAULTS = [
    Fault('fuzz_png', 'a header is read past the end of a short file',
          'engine/imaging/png_decoder.cc',
          'if (bytes.size() < kHeaderSize ||',
          'if (bytes.size() < kSignature.size() ||'),
    Fault('fuzz_jpeg', 'twice as many pixels as allowed are taken',
          'trainer/dataset/encoded/jpeg_decoder.cc',
          'info.output_height <= limits.max_pixels;',
          'info.output_height <= 2 * limits.max_pixels;'),
    Fault('fuzz_webp', 'four times as many pixels as allowed are taken',
          'trainer/dataset/encoded/webp_decoder.cc',
          'height > max_pixels)', 'height > 4 * max_pixels)'),
    Fault('fuzz_archive', 'a name is reported with its line breaks',
          'trainer/dataset/encoded/set_report.cc',
          'passed.first = absl::Utf8SafeCEscape(', 'passed.first = std::string('),
    Fault('fuzz_idx', 'a set of no images is taken',
          'trainer/dataset/mnist_dataset.cc',
          'if (count < 1 || count > kMaxImages) {', 'if (count > kMaxImages) {'),
    Fault('fuzz_safetensors', "a header's length is compared with the whole file",
          'engine/checkpoint/safetensors.cc',
          'if (header_bytes > file.size() - kLengthBytes) {',
          'if (header_bytes > file.size()) {'),
    Fault('fuzz_checkpoint_json', "a file's size below 0 is taken",
          'engine/checkpoint/checkpoint_format.cc',
          'if (size < 0) {', 'if (size < -99) {'),
    Fault('fuzz_pickle', 'a tensor may reach past its storage',
          'trainer/import/pickle_tensors.cc',
          'if (!reach.has_value() || *reach > window.num_values) {',
          'if (!reach.has_value()) {'),
    Fault('fuzz_weights_file', 'widening a half that is 0 does not end',
          'trainer/import/weights_source.cc',
          'if (fraction == 0) return sign;', ''),
    Fault('fuzz_guide', 'an error does not name its field',
          'server/calls/guide_conversion.cc',
          'if (!picture.ok()) return OfPng(picture.status());',
          'if (!picture.ok()) return picture.status();'),
    Fault('fuzz_request', 'an index may pass 32 bits',
          'server/calls/request_conversion.cc',
          'if (request.first_index() > kMaxIndex - (request.count() - 1)) {',
          'if (request.first_index() > kMaxIndex - 1) {'),
    Fault('fuzz_infer', 'an output may be there twice',
          'server/kserve/infer_conversion.cc',
          'if (std::find(formats.begin(), formats.end(), tensor->format) !=',
          'if (std::find(formats.end(), formats.end(), tensor->format) !='),
    Fault('fuzz_grpc_timeout', 'seconds are subtracted in 64 bits',
          'server/calls/request_conversion.cc',
          'absl::Seconds(deadline.tv_sec) - absl::Seconds(grpc_now.tv_sec) +',
          'absl::Seconds(deadline.tv_sec - grpc_now.tv_sec) +'),
    Fault('fuzz_token_file', 'a weight has no upper bound',
          'server/access/token_table.cc',
          'if (!(weight > 0 && weight <= kMaxWeight)) {',
          'if (!(weight > 0)) {'),
    Fault('fuzz_trace_context', 'a traceparent may be short',
          'server/access/trace_context.cc',
          'if (text.size() < kTraceParentSize) return std::nullopt;',
          'if (text.size() < kFlagsAt) return std::nullopt;'),
    Fault('fuzz_peer_address', 'a port may have a sign or blanks',
          'engine/base/listen_address.cc',
          'ToString(address) == text) {', 'true) {'),
    Fault('fuzz_reply', 'an image behind the last one is taken',
          'client/reply_check.cc',
          'if (position >= missing_.size() || !missing_[position]) {',
          'if (position > missing_.size() || !missing_[position]) {'),
    Fault('fuzz_page_request', 'an order needs no seed',
          'client/playground/image_order.cc',
          'for (const char* required : {"model", "seed", "count"}) {',
          'for (const char* required : {"model", "count"}) {'),
    Fault('fuzz_options', 'a number has no upper bound',
          'engine/base/option_table.cc',
          '*value <= Type<T>::High(range);', 'true;'),
    Fault('fuzz_scheduler', 'a lane is not told to forget what has ended',
          'engine/scheduling/work_in_flight.cc',
          'lanes_[trajectory.lane].forget.push_back(trajectory.id);', ''),
]


def copy_checkout():
    """The tracked files and those that git would take, as they are."""
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split('\0')):
        source, copy = ROOT / name, COPY / name
        if not source.is_file():
            continue
        if copy.is_file() and copy.read_bytes() == source.read_bytes():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)


def build(target):
    subprocess.run(['ninja', '-C', 'build/fuzz', '-j2', target], cwd=COPY, check=True,
                   stdout=subprocess.DEVNULL)


def program_of(target):
    for line in (COPY / 'build/fuzz/fuzz_targets.txt').read_text().splitlines():
        program, seeds = line.split()
        if pathlib.Path(program).name == target:
            return program, seeds
    sys.exit(f'{target}: no such target')


def fuzz(target, arguments):
    """Whether libFuzzer found something, and its log."""
    program, seeds = program_of(target)
    with tempfile.TemporaryDirectory() as folder:
        # New inputs go to the first folder, which no later run is to see.
        learnt = pathlib.Path(folder) / 'learnt'
        learnt.mkdir()
        result = subprocess.run(
            [program, *LIMITS, *arguments, f'-artifact_prefix={folder}/', learnt, seeds],
            capture_output=True, text=True, errors='replace',
            env=os.environ | {'TMPDIR': folder})
    return result.returncode != 0, result.stderr


def try_fault(fault):
    """Seconds and inputs until it is found; None if it is not."""
    file = COPY / fault.file
    sound = file.read_text()
    if sound.count(fault.line) != 1:
        sys.exit(f'{fault.file}: "{fault.line}" is there '
                 f'{sound.count(fault.line)} times, wanted once')
    build(fault.target)
    found, log = fuzz(fault.target, ['-runs=0'])
    if found:
        sys.exit(f'{fault.target} fails without a fault:\n{log}')
    file.write_text(sound.replace(fault.line, fault.planted))
    try:
        build(fault.target)
        start = time.monotonic()
        found, log = fuzz(fault.target, [f'-max_total_time={SECONDS}'])
        seconds = time.monotonic() - start
    finally:
        file.write_text(sound)
    runs = re.findall(r'^#(\d+)', log, re.MULTILINE)
    return (seconds, int(runs[-1]) if runs else 0) if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('target', nargs='*')
    targets = parser.parse_args().target
    copy_checkout()
    subprocess.run(['cmake', '--preset', 'fuzz'], cwd=COPY, check=True,
                   stdout=subprocess.DEVNULL)
    planted = [fault for fault in FAULTS if not targets or fault.target in targets]
    missed = 0
    print(f'{"target":22} {"found after":>11} {"inputs":>8}  fault', flush=True)
    for fault in planted:
        found = try_fault(fault)
        missed += found is None
        after, inputs = ('never', '') if found is None else (f'{found[0]:.1f} s', found[1])
        print(f'{fault.target:22} {after:>11} {inputs:>8}  {fault.what}', flush=True)
    print(f'{len(planted) - missed} of {len(planted)} were found')
    sys.exit(missed != 0)


if __name__ == '__main__':
    main()
