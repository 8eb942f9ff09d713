// Makes works, one at a time: a new one ends the one before, which is stale.

function newWork(mode, order, guide, strokes) {
  const sides = order.versions.map(() => ({
    source: null, images: Array(order.count).fill(null), failure: "", waiting: "",
    firstMs: null, tookMs: null}));
  return {id: crypto.randomUUID(), mode, order, guide, strokes, sides};
}

// What a person reads of a failure.
function failureText({code, message}) {
  const known = {
    UNAVAILABLE: "The server does not answer. What had come before stays.",
    RESOURCE_EXHAUSTED: "The server is full. Try again in a moment, or with fewer images.",
    DEADLINE_EXCEEDED: "The server took too long. Try fewer images.",
    UNAUTHENTICATED: "The server wants a token: start `ddgan playground` with --token_file.",
    PERMISSION_DENIED: "The token does not allow to make images.",
  };
  return known[code] ?? (code && code !== "GONE" ? `${code}: ${message}` : message);
}

class Calls {
  // onChange(work, isRunning) is called after each event of the present work.
  constructor(results, onChange) {
    this.results = results;
    this.onChange = onChange;
    this.control = null;
    this.hasShown = false;
    this.sentAt = null;  // When the work under way was begun; null: none is.
  }

  stop() {
    this.control?.abort();
    this.control = null;
    this.sentAt = null;
  }

  // `since`: from when the times that are shown count.
  start(work, since, keepPictures) {
    this.stop();
    const control = this.control = new AbortController();
    this.sentAt = performance.now();
    this.hasShown = false;
    this.results.show(work, keepPictures);
    const {model, versions, seed, count, guideSteps} = work.order;
    let running = versions.length;
    this.onChange(work, true);
    versions.forEach((version, number) => {
      const order = {model, seed, count};
      if (version) order.version = version;
      if (work.guide) order.guide = {png: work.guide, steps: guideSteps};
      orderImages(order, control.signal, (name, data) => {
        this.take(work, number, name, data, performance.now() - since);
        if (name === "done" || name === "failed") --running;
        if (running === 0 && this.control === control) this.sentAt = null;
        this.onChange(work, running > 0);
      });
    });
  }

  take(work, number, name, data, ms) {
    const side = work.sides[number];
    const view = this.results.views[number];
    side.waiting = "";
    if (name === "accepted") {
      side.source = data;
    } else if (name === "waiting") {
      const seconds = (data.delay_ms / 1000).toFixed(1);
      side.waiting = `${failureText(data).split(".")[0]}; trying again in ${seconds}\u00a0s`;
    } else if (name === "preview" || name === "image") {
      this.hasShown = true;
      side.firstMs ??= ms;
      if (name === "preview") {
        view.showPreview(data);
      } else {
        side.images[data.index] = data;
        view.showImage(data);
      }
    } else {
      side.tookMs = name === "done" ? ms : null;
      if (name === "failed") side.failure = failureText(data);
    }
  }
}
