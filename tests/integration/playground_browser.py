"""The page of `ddgan playground` in a headless Chromium.

PlaygroundProcess is the program, PlaygroundPage a tab that shows its page, with
words for what a person does there.
"""

import os
import subprocess
import time

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

# Generous: a busy machine with sanitizers is slow, and nobody waits in vain.
LIMIT_S = 120


class PlaygroundProcess:
  """Runs `ddgan playground` until close(); `url` is what it printed."""

  def __init__(self, client, server_address, flags=()):
    self._process = subprocess.Popen(
        [client, 'playground', f'--server={server_address}', *flags],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    self._process.stdout.readline()
    self.url = self._process.stdout.readline().strip()
    if not self.url.startswith('http://127.0.0.1:'):
      self.close()
      raise RuntimeError(f'no address but {self.url!r}')

  def terminate(self):
    """Sends SIGTERM and returns the exit code."""
    self._process.terminate()
    return self._process.wait(LIMIT_S)

  def close(self):
    if self._process.poll() is None:
      self._process.kill()
      self._process.wait()
    self._process.stdout.close()


def open_browser(width=1280, height=900, dark=False, flags=()):
  """Debian's Chromium without a display; it keeps the log of its console."""
  options = webdriver.ChromeOptions()
  options.binary_location = '/usr/bin/chromium'
  for flag in ('--headless=new', '--disable-gpu', '--hide-scrollbars',
               '--no-first-run', '--disable-background-networking',
               '--disable-component-update', '--disable-default-apps',
               '--disable-sync', *flags):
    options.add_argument(flag)
  if os.geteuid() == 0:
    options.add_argument('--no-sandbox')  # Chromium refuses root with it.
  options.set_capability('goog:loggingPrefs',
                         {'browser': 'ALL', 'performance': 'ALL'})
  driver = webdriver.Chrome(
      options=options,
      service=webdriver.ChromeService('/usr/bin/chromedriver'))
  driver.set_page_load_timeout(LIMIT_S)
  driver.set_script_timeout(LIMIT_S)
  resize(driver, width, height)
  if dark:
    driver.execute_cdp_cmd(
        'Emulation.setEmulatedMedia',
        {'features': [{'name': 'prefers-color-scheme', 'value': 'dark'}]})
  return driver


def resize(driver, width, height):
  """Sets the size of the page itself, which a window cannot have below 500."""
  driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
      'width': width, 'height': height, 'deviceScaleFactor': 0,
      'mobile': False})


class PlaygroundPage:
  """One tab."""

  def __init__(self, driver, url):
    self.driver = driver
    self.url = url
    driver.get(url)

  def wait(self, condition, what):
    """Returns the first true value of condition()."""
    return WebDriverWait(self.driver, LIMIT_S, 0.02).until(
        lambda _: condition(), what)

  def find(self, selector):
    return self.driver.find_element(By.CSS_SELECTOR, selector)

  def find_all(self, selector):
    return self.driver.find_elements(By.CSS_SELECTOR, selector)

  def text(self, selector):
    return self.find(selector).text

  def script(self, text, *arguments):
    return self.driver.execute_script(text, *arguments)

  def await_contact(self, contact):
    self.wait(lambda: self.find(f'#server[data-contact={contact}]'), contact)

  def await_visible(self, selector):
    self.wait(lambda: self.find(selector).is_displayed(), selector)

  def choose(self, mode):
    self.find(f'#tab-{mode}').click()

  def type_into(self, selector, text):
    field = self.find(selector)
    field.send_keys(Keys.CONTROL, 'a')
    field.send_keys(text)

  def press(self, *keys):
    """To whatever has the focus."""
    ActionChains(self.driver).send_keys(*keys).perform()

  def press_with_control(self, key):
    ActionChains(self.driver).key_down(Keys.CONTROL).send_keys(key).key_up(
        Keys.CONTROL).perform()

  def make(self):
    self.wait(lambda: self.find('#make').is_enabled(), 'can make')
    self.find('#make').click()

  def await_images(self, count):
    """Waits until as many are done and none is made; returns their files."""
    self.wait(lambda: len(self.find_all('.tile.done')) == count and
              self.find_all('#sides.ended'), f'{count} images')
    return self.script(
        'return [...document.querySelectorAll(".tile.done img")]'
        '.map(image => image.src)')

  def draw(self, points, release=True):
    """A stroke through points in [0, 1] of the canvas' sides."""
    canvas = self.find('#canvas')
    width, height = canvas.size['width'], canvas.size['height']
    # Relative to the middle.
    places = [(round((x - 0.5) * width), round((y - 0.5) * height))
              for x, y in points]
    chain = ActionChains(self.driver, duration=20)
    chain.move_to_element_with_offset(canvas, *places[0]).click_and_hold()
    for place in places[1:]:
      chain.move_to_element_with_offset(canvas, *place)
    if release:
      chain.release()
    chain.perform()

  def console(self):
    """What has been written into the browser's console since the last call."""
    return [entry['message'] for entry in self.driver.get_log('browser')]


def wait_until(condition, what):
  deadline = time.monotonic() + LIMIT_S
  while not condition():
    if time.monotonic() > deadline:
      raise TimeoutError(what)
    time.sleep(0.02)
