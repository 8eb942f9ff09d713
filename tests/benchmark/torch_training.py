"""A training step once more, in PyTorch: the discriminator of small images, the
losses, R1, Adam and the average. For compare_training.py; the generator is
torch_generator.py's.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from torch_generator import Fir

SLOPE = 0.2


def activate(x):
  return functional.leaky_relu(x, SLOPE)


class TimeEmbedding(nn.Module):

  def __init__(self, width):
    super().__init__()
    self.main = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(SLOPE),
                              nn.Linear(width, width))
    half = width // 2
    frequencies = torch.exp(
        torch.arange(half) * (-math.log(10000.0) / (half - 1)))
    self.register_buffer('frequencies', frequencies, persistent=False)

  def forward(self, t):
    angles = t[:, None] * self.frequencies
    return self.main(torch.cat([angles.sin(), angles.cos()], 1))


class Block(nn.Module):

  def __init__(self, before, after, time_width, down):
    super().__init__()
    self.conv1 = nn.Sequential(nn.Conv2d(before, after, 3, padding=1))
    self.conv2 = nn.Sequential(nn.Conv2d(after, after, 3, padding=1))
    self.dense_t1 = nn.Linear(time_width, after)
    self.skip = nn.Sequential(nn.Conv2d(before, after, 1, bias=False))
    self.down, self.down_skip = None, None
    if down:
      self.down, self.down_skip = Fir('down', after), Fir('down', before)

  def forward(self, x, time):
    h = self.conv1(activate(x)) + self.dense_t1(time)[:, :, None, None]
    h = activate(h)
    if self.down is not None:
      h, x = self.down(h), self.down_skip(x)
    return (self.conv2(h) + self.skip(x)) * math.sqrt(0.5)


def append_deviation(x):
  """Standard deviation over groups of 4 images, as one more channel."""
  batch, _, height, width = x.shape
  group = min(batch, 4)
  y = x.reshape(group, batch // group, *x.shape[1:])
  deviation = ((y - y.mean(0, keepdim=True)).square().mean(0) + 1e-8).sqrt()
  each = deviation.mean((1, 2, 3)).repeat(group)
  return torch.cat(
      [x, each[:, None, None, None].expand(batch, 1, height, width)], 1)


class Discriminator(nn.Module):
  """forward(x_t, t [B] float32, x_{t+1}) -> logits [B, 1]."""

  def __init__(self, config):
    super().__init__()
    n, time = config['ngf'], config['t_emb_dim']
    self.t_embed = TimeEmbedding(time)
    self.start_conv = nn.Conv2d(2 * config['num_channels'], 2 * n, 1)
    self.conv1 = Block(2 * n, 2 * n, time, down=False)
    self.conv2 = Block(2 * n, 4 * n, time, down=True)
    self.conv3 = Block(4 * n, 8 * n, time, down=True)
    self.conv4 = Block(8 * n, 8 * n, time, down=True)
    self.final_conv = nn.Conv2d(8 * n + 1, 8 * n, 3, padding=1)
    self.end_linear = nn.Linear(8 * n, 1)

  def forward(self, x, t, x_next):
    time = activate(self.t_embed(t))
    h = self.start_conv(torch.cat([x, x_next], 1))
    for block in (self.conv1, self.conv2, self.conv3, self.conv4):
      h = block(h, time)
    h = activate(self.final_conv(append_deviation(h)))
    return self.end_linear(h.sum((2, 3)))


class Schedule:
  """The variance-preserving process of T steps."""

  def __init__(self, steps, beta_min=0.1, beta_max=20.0):
    tau = torch.arange(steps + 1, dtype=torch.float64) / steps * 0.999 + 1e-3
    alpha_bar = torch.exp(-0.5 * tau**2 * (beta_max - beta_min)
                          - tau * beta_min)
    beta = torch.cat([torch.tensor([1e-8], dtype=torch.float64),
                      1 - alpha_bar[1:] / alpha_bar[:-1]])
    a = (1 - beta).sqrt()
    ac = a.cumprod(0)
    alphas = (1 - beta[1:]).cumprod(0)
    before = torch.cat([torch.ones(1, dtype=torch.float64), alphas[:-1]])
    deviation = (beta[1:] * (1 - before) / (1 - alphas)).sqrt()
    deviation[0] = 0
    values = {'a': a, 'sigma': beta.sqrt(), 'ac': ac, 'sc': (1 - ac**2).sqrt(),
              'c1': beta[1:] * before.sqrt() / (1 - alphas),
              'c2': (1 - before) * (1 - beta[1:]).sqrt() / (1 - alphas),
              'deviation': deviation}
    self._values = {name: value.float() for name, value in values.items()}

  def of(self, name, t):
    return self._values[name][t][:, None, None, None]

  def pair(self, x0, draws):
    t = draws['t']
    x_t = self.of('ac', t) * x0 + self.of('sc', t) * draws['noise_qsample']
    x_next = (self.of('a', t + 1) * x_t
              + self.of('sigma', t + 1) * draws['noise_step'])
    return x_t, x_next

  def posterior(self, x0, x_next, draws):
    t = draws['t']
    return (self.of('c1', t) * x0 + self.of('c2', t) * x_next
            + self.of('deviation', t) * draws['noise_post'])


class Training:
  """`generate` and `discriminate` are the modules or what was compiled of them;
  gradients of gradients always take the module, since compiled ones have none.
  """

  def __init__(self, config, generator, discriminator, generate=None,
               discriminate=None):
    self.generator, self.discriminator = generator, discriminator
    self.generate = generator if generate is None else generate
    self.discriminate = (discriminator if discriminate is None
                         else discriminate)
    self._config = config
    self._schedule = Schedule(config['num_timesteps'])
    adam = lambda module, rate: torch.optim.Adam(
        module.parameters(), lr=rate, betas=(0.5, 0.9), fused=True)
    self._adam_g = adam(generator, config['lr_g'])
    self._adam_d = adam(discriminator, config['lr_d'])
    self._average = None

  def _fake(self, x_next, draws):
    x0 = self.generate(x_next, draws['t'].float(), draws['z'])
    return self._schedule.posterior(x0, x_next, draws)

  def step(self, images, draws_d, draws_g, penalise):
    """Losses as the reference names them."""
    losses = {}
    self.discriminator.requires_grad_(True)
    self._adam_d.zero_grad(set_to_none=True)
    x_t, x_next = self._schedule.pair(images, draws_d)
    t = draws_d['t'].float()
    if penalise:
      x_t.requires_grad_(True)
    discriminate = self.discriminator if penalise else self.discriminate
    real = discriminate(x_t, t, x_next)
    loss = functional.softplus(-real).mean()
    losses['errD_real'] = loss.item()
    if penalise:
      gradient, = torch.autograd.grad(real.sum(), x_t, create_graph=True)
      r1 = (gradient.square().sum((1, 2, 3)).mean()
            * (self._config['r1_gamma'] / 2))
      losses['r1'] = r1.item()
      loss = loss + r1
    loss.backward()
    with torch.no_grad():
      fake = self._fake(x_next, draws_d)
    loss = functional.softplus(self.discriminate(fake, t, x_next)).mean()
    losses['errD_fake'] = loss.item()
    loss.backward()
    self._adam_d.step()

    self.discriminator.requires_grad_(False)
    self._adam_g.zero_grad(set_to_none=True)
    _, x_next = self._schedule.pair(images, draws_g)
    logits = self.discriminate(self._fake(x_next, draws_g),
                               draws_g['t'].float(), x_next)
    loss = functional.softplus(-logits).mean()
    losses['errG'] = loss.item()
    loss.backward()
    self._adam_g.step()
    with torch.no_grad():
      values = [value.detach() for value in self.generator.parameters()]
      if self._average is None:
        self._average = [value.clone() for value in values]
      else:
        torch._foreach_lerp_(self._average, values,
                             1 - self._config['ema_decay'])
    return losses
