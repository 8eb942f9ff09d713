"""`ddgan playground` in a headless Chromium, against a real server.

What the page shows is compared with what the server gives other clients, so a
picture in the wrong place or of a stale drawing is noticed.

Run by CTest, or by hand:
  python playground_test.py --server=build/release/server/ddgan-server \
      --client=build/release/client/ddgan --model_root=deploy/models
"""

import argparse
import base64
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

import grpc
import numpy as np
import safetensors.numpy
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from playground_browser import open_browser
from playground_browser import PlaygroundPage
from playground_browser import PlaygroundProcess
from playground_browser import resize
from playground_browser import wait_until
from server_process import generate_stubs
from server_process import ServerProcess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SEVEN = [(.25, .25), (.75, .25), (.6, .55), (.5, .85)]

options = None  # Set by main().


def png_of(source):
  """The bytes of a data: address."""
  return base64.b64decode(source.removeprefix('data:image/png;base64,'))


def add_version(model_root, model):
  """Copies the model's only version to another number, with other weights."""
  folder = pathlib.Path(model_root) / model
  (old,) = [path.name for path in folder.iterdir() if path.name.isdigit()]
  new = str(int(old) - 1)
  shutil.copytree(folder / old, folder / new)
  weights = folder / new / 'model.safetensors'
  tensors = safetensors.numpy.load_file(weights)
  name = max(tensors, key=lambda key: tensors[key].size)
  tensors[name] = tensors[name] * np.float32(1.02)
  safetensors.numpy.save_file(tensors, weights)
  manifest_file = folder / new / 'manifest.json'
  manifest = json.loads(manifest_file.read_text())
  data = weights.read_bytes()
  manifest['files']['model.safetensors'] = {
      'sha256': hashlib.sha256(data).hexdigest(), 'size': len(data)}
  manifest_file.write_text(json.dumps(manifest))
  return old, new


class PlaygroundCase(unittest.TestCase):
  """A server, the program, and a browser that shows its page."""

  @classmethod
  def setUpClass(cls):
    cls.pb, cls.images_grpc, cls.model_pb, _ = generate_stubs(
        REPOSITORY / 'proto')
    root = tempfile.TemporaryDirectory(prefix='playground-models-')
    cls.addClassCleanup(root.cleanup)
    cls.model_root = os.path.join(root.name, 'models')
    shutil.copytree(options.model_root, cls.model_root)
    cls.version, cls.other = add_version(cls.model_root, 'mnist')
    cls.server = ServerProcess(options.server, cls.model_root)
    cls.addClassCleanup(lambda: cls.server.close())
    # Both are loaded afterwards.
    for order in (['pin', 'mnist', cls.other], ['unpin', 'mnist']):
      subprocess.run([options.client, 'models', *order,
                      f'--server={cls.server.grpc_address}'],
                     check=True, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)
    cls.program = PlaygroundProcess(options.client, cls.server.grpc_address)
    cls.addClassCleanup(cls.program.close)

  def setUp(self):
    self.browser = open_browser()
    self.addCleanup(self.browser.quit)
    self.page = PlaygroundPage(self.browser, self.program.url)
    self.page.await_contact('found')

  def tearDown(self):
    # Of every test: a page in order has nothing to say there.
    self.assertEqual(self.page.console(), [])

  def generate(self, **fields):
    with grpc.insecure_channel(self.server.grpc_address) as channel:
      reply = self.images_grpc.ImageGenerationStub(channel).Generate(
          self.pb.GenerateRequest(model='mnist', **fields), timeout=240)
    return [image.data for image in reply.images]

  def drawing(self):
    """The PNG file that the canvas is sent as."""
    return png_of(self.page.script(
        'return document.getElementById("canvas").toDataURL("image/png")'))

  def guided(self, count, steps, **fields):
    return self.generate(
        count=count, guide=self.pb.Guide(
            png=self.drawing(), steps=steps,
            fit=self.pb.GUIDE_FIT_RESIZE), **fields)

  def await_final_drawing(self, steps=2):
    """Waits for the pictures of the drawing as it is, and returns them."""
    seed = int(self.page.script('return document.getElementById("seed").value'))
    wanted = self.guided(4, steps, seed=seed)
    self.page.wait(
        lambda: list(map(png_of, self.page.await_images(4))) == wanted,
        'the pictures of the last stroke')
    return wanted


class PlaygroundTest(PlaygroundCase):

  def test_images_appear_step_by_step_and_are_the_servers(self):
    self.page.script('''
      window.stepsSeen = new Set();
      new MutationObserver((changes) => {
        for (const {target} of changes) {
          if (target.tagName === "PROGRESS") stepsSeen.add(target.value);
        }
      }).observe(document.getElementById("sides"),
                 {subtree: true, attributes: true, attributeFilter: ["value"]});
    ''')
    self.page.type_into('#seed', '18446744073709551615')
    self.page.type_into('#count', '16')
    self.page.make()
    shown = self.page.await_images(16)
    self.assertEqual(list(map(png_of, shown)),
                     self.generate(count=16, seed=2**64 - 1))
    self.assertLessEqual(set(self.page.script('return [...stepsSeen]')),
                         {1, 2, 3})
    self.assertTrue(self.page.script('return stepsSeen.size'))
    self.assertEqual(self.page.text('#results-title'), '16 images')
    self.assertIn('seed 18446744073709551615', self.page.text('#results-meta'))

  def test_each_run_has_another_seed_if_asked_for(self):
    self.page.make()
    first = self.page.await_images(4)
    self.page.make()
    self.page.wait(lambda: self.page.await_images(4) != first, 'other images')
    self.page.find('#fresh').click()
    second = self.page.await_images(4)
    self.page.make()
    self.assertEqual(self.page.await_images(4), second)

  def test_strokes_become_pictures_while_they_are_drawn(self):
    self.page.choose('strokes')
    self.page.await_visible('#invite')
    self.page.draw(SEVEN[:2], release=False)
    self.page.wait(lambda: self.page.find_all('.tile img:not([hidden])'),
                   'a picture while the pen is down')
    self.page.draw(SEVEN[1:])
    self.assertFalse(self.page.find('#invite').is_displayed())
    self.await_final_drawing()
    # A slider moves them, too.
    self.page.find('#guide').send_keys(Keys.RIGHT)
    self.assertEqual(self.page.text('#guide-text'), '3 of 4')
    self.await_final_drawing(steps=3)

  def test_only_the_last_of_many_strokes_stays(self):
    self.page.choose('strokes')
    for row in range(8):
      y = (row + 1) / 10
      self.page.draw([(.2, y), (.8, y)])
    self.await_final_drawing()
    self.page.find('#undo').click()
    self.await_final_drawing()
    self.page.find('#clear').click()
    self.page.await_visible('#empty')
    self.assertFalse(self.page.find_all('.tile'))

  def test_a_stale_call_is_ended(self):
    self.page.choose('strokes')
    # Nothing is done before the second stroke is there.
    os.kill(self.server.pid, signal.SIGSTOP)
    try:
      self.page.draw(SEVEN[:2])
      self.page.draw(SEVEN[1:])
      ended = 0
      def cancelled():
        nonlocal ended
        for entry in self.browser.get_log('performance'):
          message = json.loads(entry['message'])['message']
          ended += (message['method'] == 'Network.loadingFailed' and
                    message['params'].get('canceled', False))
        return ended
      self.page.wait(cancelled, 'a call that was given up')
    finally:
      os.kill(self.server.pid, signal.SIGCONT)
    self.await_final_drawing()

  def test_first_picture_of_a_stroke(self):
    self.page.choose('strokes')
    times = []
    for _ in range(7):
      self.page.find('#clear').click()
      self.page.draw(SEVEN)
      self.await_final_drawing()
      meta = self.page.text('#results-meta')
      times.append(int(re.search(r'first picture (\d+) ms', meta).group(1)))
    # Depends on what else the machine does, so it is told and not judged.
    print(f'from a stroke to its first picture: {sorted(times)} ms',
          file=sys.stderr)

  def test_a_reload_keeps_what_was_made(self):
    self.page.choose('strokes')
    self.page.draw(SEVEN)
    shown = self.await_final_drawing()
    drawing = self.drawing()
    self.page.driver.refresh()
    self.page.await_contact('found')
    self.assertEqual(list(map(png_of, self.page.await_images(4))), shown)
    self.assertEqual(self.drawing(), drawing)
    self.assertEqual(len(self.page.find_all('#strip li')), 1)
    # And it goes on.
    self.page.draw([(.3, .6), (.7, .6)])
    self.page.wait(
        lambda: list(map(png_of, self.page.await_images(4))) != shown,
        'pictures of the new stroke')

  def test_recent_work_can_be_gone_back_to(self):
    self.page.type_into('#seed', '7')
    self.page.make()
    first = self.page.await_images(4)
    self.page.type_into('#seed', '8')
    self.page.make()
    self.page.wait(lambda: self.page.await_images(4) != first, 'seed 8')
    self.page.wait(lambda: len(self.page.find_all('#strip li')) == 2, 'two')
    self.page.find_all('#strip button')[1].click()
    self.assertEqual(self.page.await_images(4), first)
    self.assertEqual(self.page.find('#seed').get_property('value'), '7')
    self.page.find('#forget').click()
    self.assertFalse(self.page.find('#recent').is_displayed())

  def test_a_drawing_is_gone_back_to_and_not_made_again(self):
    page = self.page
    page.choose('strokes')
    page.draw(SEVEN)
    first = self.await_final_drawing()
    page.find('#clear').click()
    page.draw(SEVEN[1:3])
    self.assertNotEqual(self.await_final_drawing(), first)
    page.wait(lambda: len(page.find_all('#strip li')) == 2, 'two')
    page.script('''
      window.orders = [];
      const send = window.fetch;
      window.fetch = (path, ...rest) => {
        orders.push(path);
        return send(path, ...rest);
      };
    ''')
    # A wider brush changes what is drawn next, and not what is there.
    page.find('#brush').send_keys(Keys.RIGHT)
    page.find_all('#strip button')[1].click()
    page.wait(lambda: list(map(png_of, page.await_images(4))) == first,
              'the first drawing')
    self.assertEqual(self.guided(4, 2, seed=int(
        page.find('#seed').get_property('value'))), first)
    self.assertEqual(page.script('return orders'), [])

  def test_the_seed_that_is_drawn_is_the_one_that_is_used(self):
    self.page.make()
    self.page.await_images(4)
    self.page.find('#draw-seed').click()
    seed = self.page.find('#seed').get_property('value')
    self.page.make()
    wanted = self.generate(count=4, seed=int(seed))
    self.page.wait(
        lambda: list(map(png_of, self.page.await_images(4))) == wanted,
        'the images of the seed')
    self.assertEqual(self.page.find('#seed').get_property('value'), seed)

  def test_another_model_can_be_asked_for_at_once(self):
    Select(self.page.find('#version')).select_by_value(self.version)
    Select(self.page.find('#model')).select_by_value('mnist_t2')
    self.assertTrue(self.page.find('#make').is_enabled())
    # It has one version, so there is nothing to compare.
    self.page.choose('versions')
    self.assertFalse(self.page.find('#make').is_enabled())

  def test_an_image_says_what_makes_it_again(self):
    self.page.choose('strokes')
    self.page.draw(SEVEN)
    self.await_final_drawing()
    shown = list(map(png_of, self.page.await_images(4)))
    self.page.find_all('.tile')[2].click()
    self.page.await_visible('#details')
    facts = self.page.text('#details-facts').split('\n')
    facts = dict(zip(facts[::2], facts[1::2]))
    self.assertEqual(facts['Index'], '2')
    self.assertEqual(facts['Version'], self.version)
    manifest = pathlib.Path(self.model_root, 'mnist', self.version,
                            'manifest.json').read_bytes()
    self.assertEqual(facts['Digest'], hashlib.sha256(manifest).hexdigest())
    self.browser.execute_cdp_cmd('Browser.grantPermissions', {
        'permissions': ['clipboardReadWrite', 'clipboardSanitizedWrite']})
    self.page.find('#details-copy').click()
    self.page.wait(lambda: self.page.text('#toast') == 'Copied', 'copied')
    command = self.browser.execute_async_script(
        'navigator.clipboard.readText().then(arguments[0])')
    strokes = re.search(r'--guide=(\S+)', command).group(1)
    with tempfile.TemporaryDirectory() as folder:
      self.browser.execute_cdp_cmd('Browser.setDownloadBehavior', {
          'behavior': 'allow', 'downloadPath': folder})
      self.page.find('#details-strokes').click()
      self.page.find('#details-download').click()
      image = re.search(r'--out=(\S+)', command).group(1)
      for name in (strokes, image):
        wait_until(lambda: os.path.exists(os.path.join(folder, name)), name)
      file = pathlib.Path(folder, image)
      self.assertEqual(file.read_bytes(), shown[2])
      file.unlink()
      subprocess.run(
          command, shell=True, check=True, cwd=folder,
          stdout=subprocess.DEVNULL,
          env={**os.environ, 'PATH':
               f'{os.path.dirname(options.client)}:{os.environ["PATH"]}'})
      self.assertEqual(file.read_bytes(), shown[2])

  def test_two_versions_side_by_side_for_one_seed(self):
    self.page.choose('versions')
    self.page.type_into('#seed', '7')
    self.page.make()
    shown = list(map(png_of, self.page.await_images(8)))
    for version, pictures in ((self.version, shown[:4]),
                              (self.other, shown[4:])):
      self.assertEqual(
          pictures, self.generate(count=4, seed=7, version=int(version)))
    self.assertEqual([head.text for head in self.page.find_all('.side h3')],
                     [f'Version {self.version}', f'Version {self.other}'])

  def test_all_of_it_works_from_the_keyboard(self):
    page = self.page
    focus = lambda: page.script(
        'return document.activeElement.id || document.activeElement.className')
    reached = []
    while focus() != 'make':
      page.press(Keys.TAB)
      reached.append(focus())
      self.assertLess(len(reached), 30, reached)
    self.assertEqual(reached, [
        'skip', 'tab-noise', 'model', 'version', 'fewer', 'count', 'more',
        'seed', 'draw-seed', 'fresh', 'make'])
    page.press(Keys.ENTER)
    page.await_images(4)
    page.press(Keys.TAB)
    self.assertIn('tile', focus())
    page.press(Keys.ENTER)
    page.await_visible('#details')
    page.press(Keys.ARROW_RIGHT)
    self.assertEqual(page.text('#details-title'), 'Image 2 of 4')
    page.press(Keys.ESCAPE)
    page.wait(lambda: not page.find('#details').is_displayed(), 'closed')
    self.assertIn('tile', focus())
    page.script('document.getElementById("tab-noise").focus()')
    page.press(Keys.ARROW_RIGHT)
    self.assertEqual(focus(), 'tab-strokes')
    page.press(Keys.TAB)
    self.assertEqual(focus(), 'canvas')
    page.await_visible('#canvas-help')
    blank = self.drawing()
    page.press(Keys.SPACE, *[Keys.ARROW_RIGHT] * 6, *[Keys.ARROW_DOWN] * 6,
               Keys.SPACE)
    self.assertNotEqual(self.drawing(), blank)
    self.await_final_drawing()
    drawn = self.drawing()
    # The pen is up: it moves and leaves nothing.
    page.press(Keys.ARROW_LEFT)
    self.assertEqual(self.drawing(), drawn)
    page.press_with_control('z')
    self.assertEqual(self.drawing(), blank)

  def test_says_what_is_wrong_with_a_field(self):
    self.page.type_into('#seed', '18446744073709551616')
    self.page.make()
    self.assertIn('from 0 to 18446744073709551615',
                  self.page.text('#seed-error'))
    self.page.type_into('#count', '65')
    self.page.make()
    self.assertIn('from 1 to 64', self.page.text('#count-error'))
    self.assertFalse(self.page.find_all('.tile'))

  def test_fits_narrow_and_wide_pages(self):
    for number in range(1, 8):
      self.page.make()
      self.page.wait(
          lambda: len(self.page.find_all('#strip li')) == number, 'work')
    for mode in ('noise', 'strokes', 'versions'):
      self.page.choose(mode)
      for width in (400, 1600):
        resize(self.browser, width, 900)
        self.assertEqual(
            self.page.script('return document.documentElement.scrollWidth'),
            self.page.script('return document.documentElement.clientWidth'),
            f'{mode} at {width}')
        box = self.page.find('#make').rect
        self.assertGreaterEqual(box['x'], 0)
        self.assertLessEqual(box['x'] + box['width'], width)

  def test_asks_nobody_else_for_anything(self):
    self.page.choose('strokes')
    self.page.draw(SEVEN)
    self.await_final_drawing()
    asked = []
    for entry in self.browser.get_log('performance'):
      message = json.loads(entry['message'])['message']
      if (message['method'] == 'Network.requestWillBeSent' and
          message['params']['documentURL'] == self.program.url):
        asked.append(message['params']['request']['url'])
    mine = {self.program.url + path for path in ('', 'server', 'images')}
    self.assertEqual(
        {url for url in asked if not url.startswith('data:')}, mine)


class PureFunctionsTest(unittest.TestCase):
  """Decisions of the page, called one by one."""

  @classmethod
  def setUpClass(cls):
    cls.browser = open_browser()
    cls.addClassCleanup(cls.browser.quit)
    cls.browser.get('about:blank')

  def call(self, file, expression, *arguments):
    source = REPOSITORY / 'client/playground/page' / file
    return self.browser.execute_script(
        f'{source.read_text()}\nreturn {expression};', *arguments)

  def wait_before_sending(self, now, **state):
    state = {'unsentSince': None, 'penDown': False, 'sentAt': None,
             'hasShown': False, **state}
    return self.call('schedule.js', 'waitBeforeSending(...arguments)', state,
                     now)

  def test_nothing_is_sent_without_a_change(self):
    self.assertIsNone(self.wait_before_sending(1000))
    self.assertIsNone(self.wait_before_sending(1000, penDown=True, sentAt=0))

  def test_a_stroke_that_has_ended_is_sent_at_once(self):
    self.assertEqual(self.wait_before_sending(1000, unsentSince=1000), 0)
    self.assertEqual(
        self.wait_before_sending(1000, unsentSince=1000, sentAt=990), 0)

  def test_points_that_come_close_together_go_together(self):
    self.assertEqual(
        self.wait_before_sending(1000, unsentSince=1000, penDown=True), 40)
    self.assertEqual(
        self.wait_before_sending(1030, unsentSince=1000, penDown=True), 10)
    self.assertEqual(
        self.wait_before_sending(1100, unsentSince=1000, penDown=True), 0)

  def test_a_call_that_has_shown_nothing_is_let_show_something(self):
    state = {'unsentSince': 1000, 'penDown': True, 'sentAt': 950}
    self.assertEqual(self.wait_before_sending(1000, **state), 350)
    self.assertEqual(self.wait_before_sending(1400, **state), 0)
    self.assertEqual(
        self.wait_before_sending(1000, hasShown=True, **state), 40)

  def test_events_are_taken_out_of_what_has_come(self):
    parse = lambda text: self.call('events.js', 'parseEvents(arguments[0])',
                                   text)
    self.assertEqual(parse(''), {'events': [], 'rest': ''})
    self.assertEqual(parse('event: a\nda'), {'events': [], 'rest':
                                             'event: a\nda'})
    self.assertEqual(
        parse('event: a\ndata: {"x":1}\n\nevent: b\ndata: "y"\n\nev'),
        {'events': [{'name': 'a', 'data': {'x': 1}},
                    {'name': 'b', 'data': 'y'}], 'rest': 'ev'})

  def test_counts_and_seeds_are_checked_before_they_are_sent(self):
    error = lambda kind, text: self.call('settings.js',
                                         f'{kind}Error(arguments[0])', text)
    for text in ('1', '64', '07'):
      self.assertEqual(error('count', text), '', text)
    for text in ('', '0', '65', '-1', '1.5', 'x', '1e1', ' 1'):
      self.assertNotEqual(error('count', text), '', text)
    for text in ('0', str(2**64 - 1)):
      self.assertEqual(error('seed', text), '', text)
    for text in ('', '-1', str(2**64), '1.5', '0x7', '1n'):
      self.assertNotEqual(error('seed', text), '', text)


class LostServerTest(PlaygroundCase):
  """Ends its server, so it has one of its own."""

  def test_a_lost_server_is_found_again(self):
    page = self.page
    page.choose('strokes')
    page.draw(SEVEN)
    shown = self.await_final_drawing()
    address = self.server.grpc_address
    self.assertEqual(self.server.terminate(), 0)
    page.await_contact('lost')
    page.await_visible('#banner')
    self.assertIn('does not answer', page.text('#banner'))
    self.assertFalse(page.find('#make').is_enabled())
    # What was made stays.
    self.assertEqual(list(map(png_of, page.await_images(4))), shown)
    page.draw([(.3, .6), (.7, .6)])
    self.server.close()
    type(self).server = ServerProcess(
        options.server, self.model_root, [f'--listen={address}'])
    page.await_contact('found')
    self.assertIn('back', page.text('#banner'))
    # What was drawn meanwhile is made now.
    self.await_final_drawing()
    page.wait(lambda: not page.find('#banner').is_displayed(), 'no banner')

  def test_a_program_that_ends_is_told(self):
    program = PlaygroundProcess(options.client, self.server.grpc_address)
    self.addCleanup(program.close)
    page = PlaygroundPage(self.browser, program.url)
    page.await_contact('found')
    self.assertEqual(program.terminate(), 0)
    page.await_contact('gone')
    self.assertIn('Start ddgan playground again', page.text('#banner'))
    # Here the browser itself writes that a connection was refused.
    self.browser.get('about:blank')
    for line in page.console():
      self.assertIn('net::ERR_', line)


class StrangerTest(PlaygroundCase):
  """A page of another place on this machine that has got hold of the token."""

  def test_a_page_from_another_origin_gets_nothing(self):
    class Page(http.server.BaseHTTPRequestHandler):

      def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/html')
        self.end_headers()
        self.wfile.write(b'<!doctype html><title>stranger</title>')

      def log_message(self, *_):
        pass

    stranger = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Page)
    threading.Thread(target=stranger.serve_forever, daemon=True).start()
    self.addCleanup(stranger.server_close)
    self.addCleanup(stranger.shutdown)
    self.browser.get(f'http://127.0.0.1:{stranger.server_port}/')
    self.statuses()
    got = self.browser.execute_async_script('''
      const [url, done] = arguments;
      const order = JSON.stringify({model: "mnist", seed: "7", count: 1});
      const attempts = {
        page: () => fetch(url),
        pageUnread: () => fetch(url, {mode: "no-cors"}),
        images: () => fetch(url + "images", {method: "POST", body: order,
            headers: {"Content-Type": "application/json"}}),
        imagesUnread: () => fetch(url + "images",
            {method: "POST", body: order, mode: "no-cors"}),
        server: () => new Promise((resolve, reject) => {
          const source = new EventSource(url + "server");
          source.onmessage = source.onopen = resolve;
          source.onerror = reject;
        }),
      };
      Promise.all(Object.entries(attempts).map(async ([name, attempt]) => {
        try {
          const reply = await attempt();
          return [name, reply.type ?? "opened"];
        } catch {
          return [name, "refused"];
        }
      })).then((all) => done(Object.fromEntries(all)));
    ''', self.program.url)
    self.assertEqual(got, dict.fromkeys(got, 'refused'))
    # The browser says what it has refused.
    self.assertTrue(self.page.console())
    # 405 is the answer to a preflight.
    self.assertLessEqual(self.statuses(), {403, 405})
    # Shown within the other page, it is not shown at all.
    self.browser.execute_script('''
      const frame = document.createElement("iframe");
      frame.src = arguments[0];
      document.body.append(frame);
    ''', self.program.url)
    statuses = set()
    wait_until(lambda: statuses.update(self.statuses()) or statuses,
               'an answer')
    self.assertEqual(statuses, {403})
    self.page.console()

  def test_a_name_that_leads_here_gets_nothing(self):
    browser = open_browser(
        flags=['--host-resolver-rules=MAP stranger.example 127.0.0.1'])
    self.addCleanup(browser.quit)
    browser.get(self.program.url.replace('127.0.0.1', 'stranger.example'))
    self.assertIn('for this machine alone', browser.page_source)
    browser.get(self.program.url.replace('127.0.0.1', 'localhost'))
    self.assertIn('Make images', browser.page_source)

  def statuses(self):
    """Of the program's answers since the last call."""
    found = set()
    for entry in self.browser.get_log('performance'):
      message = json.loads(entry['message'])['message']
      if message['method'] == 'Network.responseReceived':
        response = message['params']['response']
        if response['url'].startswith(self.program.url):
          found.add(response['status'])
    return found


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--server', required=True)
  parser.add_argument('--client', required=True)
  parser.add_argument('--model_root', required=True)
  global options
  options, rest = parser.parse_known_args()
  unittest.main(argv=sys.argv[:1] + rest, verbosity=2)


if __name__ == '__main__':
  main()
