"""draw.py as a program: its words, its exit codes and its files.

Run by CTest, or by hand:
  PYTHONPATH=trainer/evaluation/figures python draw_test.py
"""

import contextlib
import errno
import io
import os
import pathlib
import subprocess
import sys
import unittest
from unittest import mock

from matplotlib.figure import Figure

import draw
import figure_files
import style

PROGRAM = pathlib.Path(draw.__file__)


class DrawTest(figure_files.FigureTest):

  def run_draw(self, *arguments):
    """(exit code, stdout, stderr)"""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
      try:
        code = draw.main([str(argument) for argument in arguments])
      except SystemExit as end:
        code = end.code
    return code, out.getvalue(), err.getvalue()

  def refused_with(self, code, *arguments):
    """The one line that says why."""
    found, out, err = self.run_draw(*arguments)
    self.assertEqual((found, out), (code, ''))
    self.assertEqual(err.count('\n'), 1, err)
    self.assertTrue(err.startswith('draw.py: '))
    return err

  def grid(self):
    return figure_files.write_folder(
        self.folder / 'grid', 'grid',
        {'samples': figure_files.pictures(4, 8, 8, 1)}, columns=2)

  def test_runs_as_a_program(self):
    out = self.folder / 'density.png'
    result = subprocess.run(
        [sys.executable, '-B', PROGRAM, 'density', f'--out={out}'],
        capture_output=True, text=True, timeout=120, cwd=self.folder,
        env={'HOME': str(self.folder), 'MPLCONFIGDIR': str(self.folder)})
    self.assertEqual((result.returncode, result.stdout, result.stderr),
                     (0, '', ''))
    self.assertEqual(out.read_bytes()[:8], b'\x89PNG\r\n\x1a\n')

  def test_draws_every_figure_of_a_folder_or_a_file(self):
    results = figure_files.write_results(
        self.folder / 'trilemma.json', [figure_files.result_row()])
    for figure, source in (('grid', self.grid()), ('trilemma', results)):
      out = self.folder / f'{figure}.png'
      self.assertEqual(self.run_draw(figure, source, f'--out={out}'),
                       (0, '', ''))
      self.assertTrue(out.exists())
    code, out, err = self.run_draw('table', results)
    self.assertEqual((code, err), (0, ''))
    self.assertIn('| mnist/12060 |', out)

  def test_letters_travel_with_a_pdf_and_an_svg(self):
    self.run_draw('grid', self.grid(), f'--out={self.folder / "grid.pdf"}')
    pdf = (self.folder / 'grid.pdf').read_bytes()
    self.assertTrue(pdf.startswith(b'%PDF-'))
    self.assertIn(b'/FontFile2', pdf)
    self.run_draw('grid', self.grid(), f'--out={self.folder / "grid.svg"}')
    svg = (self.folder / 'grid.svg').read_text()
    self.assertIn('<svg', svg)
    self.assertNotIn('<text', svg)

  def test_the_same_data_give_the_same_file(self):
    for ending in ('.png', '.pdf'):
      paths = [self.folder / f'{i}{ending}' for i in range(2)]
      for path in paths:
        self.run_draw('density', f'--out={path}')
      self.assertEqual(paths[0].read_bytes(), paths[1].read_bytes(), ending)

  def test_a_bad_flag_is_one_sentence(self):
    out = f'--out={self.folder / "x.png"}'
    for word, arguments in (
        ('FIGURE', ()), ('pie', ('pie', out)), ('--out', ('density',)),
        ('source', ('strip', out)),
        ('--colour', ('density', out, '--colour=1')),
        ('--t', ('density', out, '--t=soon')),
        ('--k', ('density', out, '--k=a')), ('--k', ('density', out, '--k=')),
        ('--out', ('grid', 'x', '--ou=x.png'))):
      self.assertIn(word, self.refused_with(2, *arguments))

  def test_a_value_out_of_range_is_one_sentence(self):
    out = f'--out={self.folder / "x.png"}'
    self.assertIn('--t: 2000', self.refused_with(1, 'density', out, '--t=2000'))
    self.assertIn('--value: inf', self.refused_with(
        1, 'density', out, '--value=inf'))

  def test_a_place_that_cannot_be_written_is_one_sentence(self):
    (self.folder / 'folder.png').mkdir()
    for name, word in (('x.jpg', '.png, .pdf, .svg'), ('x', '.png'),
                       ('none/x.png', 'no folder'),
                       ('folder.png', 'is a folder'),
                       ('x' * 300 + '.png', 'File name too long')):
      self.assertIn(word, self.refused_with(
          1, 'grid', self.grid(), f'--out={self.folder / name}'))

  def test_a_bad_input_leaves_the_old_figure(self):
    out = self.folder / 'grid.png'
    out.write_bytes(b'old')
    figure_files.change(self.grid() / 'figure.json', 'columns', to=0)
    self.assertIn('columns is 0', self.refused_with(
        1, 'grid', self.folder / 'grid', f'--out={out}'))
    self.assertEqual(out.read_bytes(), b'old')


class SaveTest(figure_files.FigureTest):

  def test_a_full_disk_leaves_the_old_figure_and_nothing_else(self):
    out = self.folder / 'x.png'
    out.write_bytes(b'old')

    def fail(_, file, **_kwargs):
      file.write(b'half')
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with mock.patch.object(Figure, 'savefig', fail):
      self.assertIn('No space left', self.refused(style.save, Figure(), out))
    self.assertEqual(out.read_bytes(), b'old')
    self.assertEqual(list(self.folder.iterdir()), [out])

  def test_others_may_read_a_figure(self):
    out = self.folder / 'x.png'
    style.save(Figure(), out)
    self.assertEqual(out.stat().st_mode & 0o777, 0o644)


if __name__ == '__main__':
  unittest.main()
