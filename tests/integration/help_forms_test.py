"""What the programs' --help=FORM print, given to those that read it: bash and
zsh complete with the scripts, man and mandoc format the pages.

Run by CTest, or by hand:
  python help_forms_test.py build/release/client/ddgan ...
"""

import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import tempfile
import time
import unittest

README = pathlib.Path(__file__).resolve().parents[2] / 'client' / 'README.md'
PROGRAMS = {}  # By name. Set by main().
# What mandoc has to say of pages without a date, which would change with every
# build.
NO_DATE = 'missing date'


def help_in(form, program, command=None):
  words = [PROGRAMS[program], *([command] if command else []), f'--help={form}']
  return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def commands_of(program):
  """The names below "COMMAND", or [None] of a program that has no commands."""
  text = subprocess.run([PROGRAMS[program], '--help'], check=True,
                        capture_output=True, text=True).stdout
  usage = re.search('^usage: .*', text, re.MULTILINE)[0]
  if 'COMMAND' not in usage:
    return [None]
  return re.findall(r'^  ([a-z_]+) ', text, re.MULTILINE)


class TypedShell:
  """A shell at a terminal, whose programs print what they are called with."""

  def __init__(self, command, begin, **environment):
    """`environment`: variables besides those of this process."""
    self._process, self._terminal = pty.fork()
    if self._process == 0:
      os.environ.update(TERM='xterm', INPUTRC='/dev/null', HISTFILE='',
                        COLUMNS='200', **environment)
      os.execvp(command[0], command)
    self.seen = ''
    # In parts, so that what the shell prints is not in what it is told.
    define = [f'{name}() {{ printf "<%s>" "$@"; echo "<""end>"; }}'
              for name in PROGRAMS]
    self._type('\n'.join([*begin, *define, '']))

  def _type(self, text):
    os.write(self._terminal, text.encode())

  def complete(self, line, limit_s=120):
    """The words that the line has after its last one was completed."""
    self.seen = ''
    self._type(f'{line}\t\n')
    deadline = time.monotonic() + limit_s
    while '<end>' not in self.seen:
      if not select.select([self._terminal], [], [], 1)[0]:
        if time.monotonic() > deadline:
          raise TimeoutError(f'no answer to {line!r}: {self.seen!r}')
        continue
      self.seen += os.read(self._terminal, 1 << 16).decode(errors='replace')
    called = re.search(r'((?:<[^<>\r\n]*>)+)<end>', self.seen)[1]
    return re.findall('<(.*?)>', called)

  def close(self):
    os.close(self._terminal)  # The shell gets SIGHUP.
    os.waitpid(self._process, 0)


class CompletionTest(unittest.TestCase):

  def setUp(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)

  def bash(self, *words, breaks_at_equals=True):
    """What bash is told may stand in the place of the last word."""
    program = words[0]
    script = self.folder / program
    script.write_text(help_in('bash', program))
    split = []
    for word in words:
      split += ([part for part in re.split('(=)', word) if part]
                if breaks_at_equals else [word])
    if words[-1] == '':
      split.append('')
    result = subprocess.run(
        ['bash', '--norc', '-c', 'set -u; source "$0"; COMP_WORDS=("$@"); '
         f'COMP_CWORD=$(($# - 1)); _{program.replace("-", "_")}; '
         'printf "%s\\n" ${COMPREPLY+"${COMPREPLY[@]}"}', script, *split],
        cwd=self.folder, capture_output=True, text=True)
    self.assertEqual((result.returncode, result.stderr), (0, ''))
    return [word for word in result.stdout.split('\n') if word]

  def test_bash_completes_commands_flags_and_values(self):
    self.assertEqual(self.bash('ddgan', 'mo'), ['models'])
    self.assertEqual(self.bash('ddgan', 'generate', '--cou'), ['--count='])
    self.assertEqual(self.bash('ddgan', 'generate', '--gri'), ['--grid'])
    self.assertEqual(self.bash('ddgan', 'bench', '--gri'), [])
    self.assertEqual(self.bash('ddgan', 'generate', '--class='),
                     ['interactive', 'batch'])
    self.assertEqual(self.bash('ddgan', 'generate', '--class=b'), ['batch'])
    self.assertEqual(self.bash('ddgan', 'generate', '--class', 'b'), ['batch'])
    self.assertEqual(self.bash('ddgan', 'generate', '--count='), [])
    self.assertEqual(
        self.bash('ddgan', 'generate', '--class=b', breaks_at_equals=False),
        ['--class=batch'])
    self.assertEqual(self.bash('ddgan', 'models', 'un'), ['unpin'])

  def test_bash_completes_files_and_folders(self):
    (self.folder / 'two words.png').touch()
    (self.folder / 'two folders').mkdir()
    self.assertEqual(sorted(self.bash('ddgan', 'generate', '--guide=two')),
                     ['two folders', 'two words.png'])
    self.assertEqual(self.bash('ddgan', 'generate', '--preview_dir=two'),
                     ['two folders'])

  def test_bash_completes_every_program(self):
    for program in PROGRAMS:
      for command in commands_of(program):
        with self.subTest(program, command=command):
          flags = self.bash(*[program, *([command] if command else []), '--'])
          lines = help_in('flags', program, command).splitlines()
          self.assertEqual(
              flags, [re.sub('=.*', '=', line.split('\t')[0]) for line in lines
                      if line.startswith('--')])
          self.assertIn('--config_file=', flags)

  def typed(self, shell):
    self.addCleanup(shell.close)
    self.assertEqual(shell.complete('ddgan generate --class=ba'),
                     ['generate', '--class=batch'])
    self.assertEqual(shell.complete('ddgan pla'), ['playground'])
    (self.folder / 'two words.png').touch()
    self.assertEqual(
        shell.complete(f'ddgan generate --guide={self.folder}/tw'),
        ['generate', f'--guide={self.folder}/two words.png'])
    self.assertEqual(shell.complete('ddgan models roll'), ['models', 'rollback'])

  def test_bash_at_a_terminal(self):
    script = self.folder / 'script'
    script.write_text(''.join(help_in('bash', name) for name in PROGRAMS))
    self.typed(TypedShell(['bash', '--norc', '--noprofile', '-i'],
                          [f'source {script}', 'set +o history']))

  def test_zsh_at_a_terminal(self):
    for name in PROGRAMS:
      script = self.folder / f'_{name}'
      script.write_text(help_in('zsh', name))
      subprocess.run(['zsh', '-n', script], check=True)
    shell = TypedShell(['zsh', '-f', '-i'],
                       [f'fpath=({self.folder} $fpath)',
                        'autoload -Uz compinit', 'compinit -u -D'])
    self.typed(shell)
    for name in PROGRAMS:
      command = {'ddgan-evaluate': ['quality']}.get(
          name, ['generate'] if name == 'ddgan' else [])
      line = ' '.join([name, *command, '--config_fil'])
      # zsh takes the "=" back when the line ends there.
      self.assertEqual(shell.complete(line), [*command, '--config_file'])


  def test_the_readmes_lines_work_in_a_new_home(self):
    section = README.read_text().split('### Completion and manual pages')[1]
    lines = section.split('```sh\n')[1].split('```')[0]
    environment = {'HOME': str(self.folder), 'ZDOTDIR': str(self.folder)}
    programs = pathlib.Path(PROGRAMS['ddgan']).parent
    shown = subprocess.run(
        ['bash', '-e', '-o', 'pipefail', '-c',
         f'{lines}\ncomplete -p ddgan\n'
         'diff <(ddgan --help=bash) '
         '~/.local/share/bash-completion/completions/ddgan'],
        capture_output=True, text=True, env={
            **os.environ, **environment, 'MANPAGER': 'cat',
            'PATH': f'{programs}:{os.environ["PATH"]}'})
    self.assertEqual((shown.returncode, shown.stderr), (0, ''))
    for seen in ('DDGAN(1)', 'DDGAN-GENERATE(1)', '-F _ddgan ddgan'):
      self.assertIn(seen, shown.stdout)

    of_zsh = re.search(r'`(fpath=.*)` before `(.*)`\.', section)
    (self.folder / '.zshrc').write_text(f'{of_zsh[1]}\n{of_zsh[2]}\n')
    self.typed(TypedShell(['zsh', '-i'], [], **environment))


class LostOutputTest(unittest.TestCase):

  def test_is_no_success(self):
    for program, path in PROGRAMS.items():
      for flags in (['--help'], ['--help=man'], ['--version']):
        with self.subTest(program, flags=flags), open('/dev/full', 'wb') as full:
          result = subprocess.run([path, *flags], stdout=full,
                                  stderr=subprocess.PIPE, text=True)
          self.assertEqual(
              (result.returncode, result.stderr),
              (1, f'{program}: standard output did not take all\n'))


class ManualTest(unittest.TestCase):

  def test_pages_are_formatted_without_a_warning(self):
    for program in PROGRAMS:
      for command in {None, *commands_of(program)}:
        with self.subTest(program, command=command):
          self.check(program, command)

  def check(self, program, command):
    page = help_in('man', program, command)
    name = '-'.join([program, *([command] if command else [])])
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder, f'{name}.1')
      path.write_text(page)
      shown = subprocess.run(
          ['man', '--warnings=w', '--local-file', path], capture_output=True,
          text=True, env=dict(os.environ, MANWIDTH='400', LC_ALL='C.UTF-8',
                              MAN_KEEP_FORMATTING='', MANPAGER='cat'))
      self.assertEqual((shown.returncode, shown.stderr), (0, ''))
      lint = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', path],
                            capture_output=True, text=True).stdout
      self.assertEqual(
          [], [line for line in lint.splitlines() if NO_DATE not in line])
      # What whatis and apropos find.
      told = subprocess.run(['lexgrog', path], capture_output=True, text=True)
      self.assertIn(f': "{name} - ', told.stdout)
    if command or commands_of(program) == [None]:
      text = ' '.join(shown.stdout.split())
      for line in help_in('flags', program, command).splitlines():
        flag = line.split('\t')[0]
        if flag.startswith('--') and not flag.startswith('--no'):
          self.assertIn(flag, text)


def main():
  paths = [argument for argument in sys.argv[1:] if '/' in argument]
  PROGRAMS.update({pathlib.Path(path).name: str(pathlib.Path(path).resolve())
                   for path in paths})
  rest = [argument for argument in sys.argv[1:] if argument not in paths]
  unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == '__main__':
  main()
