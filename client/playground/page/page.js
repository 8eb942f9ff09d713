// The page as a whole: what is started when, and what is said meanwhile.

const MODES = ["noise", "strokes", "versions"];

class Page {
  constructor() {
    this.contact = "connecting";
    this.address = "";
    this.failure = "";
    this.mode = restore("mode", "noise");
    this.unsentSince = null;
    this.timer = 0;
    this.drawingId = null;
    this.seedIsUsed = false;
    this.details = new Details((seed) => this.takeSeed(seed));
    this.results = new Results((work, side, at) => this.details.open(work, side, at));
    this.calls = new Calls(this.results, (work, running) => this.showCall(work, running));
    this.recent = new Recent((work) => this.showRecent(work));
    this.settings = new Settings(() => this.settingsChanged());
    this.surface = new Surface(() => this.drawingChanged());
    this.surface.setChannels(1);
    byId("settings").addEventListener("submit", (event) => {
      event.preventDefault();
      this.make();
    });
    byId("seed").addEventListener("input", () => { this.seedIsUsed = false; });
    byId("stop").addEventListener("click", () => this.stop());
    document.addEventListener("keydown", (event) => this.takeKey(event));
    for (const mode of MODES) this.addTab(mode);
    this.surface.drawing.set(restore("strokes", []));
    this.select(this.mode);
    watchServer((state) => this.takeServer(state));
  }

  // --- Which way of making images.

  addTab(mode) {
    const tab = byId(`tab-${mode}`);
    tab.addEventListener("click", () => this.select(mode));
    tab.addEventListener("keydown", (event) => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (!step) return;
      const next = MODES[(MODES.indexOf(mode) + step + MODES.length) % MODES.length];
      this.select(next);
      byId(`tab-${next}`).focus();
    });
  }

  select(mode) {
    this.stop();
    this.mode = mode;
    store("mode", mode);
    byId("work").dataset.mode = mode;
    byId("work").setAttribute("aria-labelledby", `tab-${mode}`);
    for (const other of MODES) {
      byId(`tab-${other}`).ariaSelected = other === mode ? "true" : "false";
      byId(`tab-${other}`).tabIndex = other === mode ? 0 : -1;
    }
    for (const part of document.querySelectorAll("[data-for]")) {
      part.hidden = !part.dataset.for.split(" ").includes(mode);
    }
    byId("make-text").textContent = mode === "versions" ? "Compare" : "Make images";
    byId("version-name").textContent = mode === "versions" ? "First version" : "Version";
    const work = this.recent.latestOf(mode);
    if (work) this.results.show(work, false);
    else this.results.clear("", "");
    this.recent.mark(work);
    this.showState();
  }

  takeKey(event) {
    if (byId("details").open || !(event.ctrlKey || event.metaKey)) return;
    if (event.key === "Enter") {
      event.preventDefault();
      this.make();
    }
    const isText = event.target.matches("input[type=text]");
    if (event.key === "z" && this.mode === "strokes" && !isText) {
      event.preventDefault();
      this.surface.undo();
    }
  }

  // --- Making images.

  get canMake() {
    return this.contact === "found" && this.settings.canMake &&
        (this.mode !== "versions" || this.comparesTwo) &&
        (this.mode !== "strokes" || !this.surface.drawing.isBlank);
  }

  get comparesTwo() {
    const [first, second] = this.order().versions;
    return Boolean(second) && first !== second;
  }

  make() {
    if (!this.canMake || !this.settings.check()) return;
    if (this.mode === "strokes") {
      this.unsentSince ??= performance.now();
      this.sendDrawing();
      return;
    }
    if (byId("fresh").checked && this.seedIsUsed) {
      byId("seed").value = this.settings.anotherSeed();
      this.settings.save();
    }
    this.seedIsUsed = true;
    this.calls.start(newWork(this.mode, this.order(), "", null), performance.now(), false);
  }

  order() {
    const versions = [byId("version").value];
    if (this.mode === "versions") {
      versions[0] ||= this.settings.model?.live;
      versions.push(byId("other").value);
    }
    return {
      model: byId("model").value, versions, seed: byId("seed").value.trim(),
      count: Number(byId("count").value), guideSteps: Number(byId("guide").value)};
  }

  stop() {
    clearTimeout(this.timer);
    const wasRunning = this.calls.sentAt !== null;
    this.calls.stop();
    if (wasRunning) this.results.update(false);
    byId("stop").hidden = true;
  }

  // --- Drawing.

  drawingChanged() {
    store("strokes", this.surface.drawing.strokes);
    if (this.surface.drawing.isBlank) {
      // What is drawn next is something else.
      this.drawingId = null;
      this.unsentSince = null;
      this.stop();
      this.results.clear("", "");
    } else {
      this.unsentSince ??= performance.now();
    }
    this.showState();
    this.scheduleDrawing();
  }

  scheduleDrawing() {
    clearTimeout(this.timer);
    if (this.mode !== "strokes" || !this.canMake) return;
    const wait = waitBeforeSending({
      unsentSince: this.unsentSince, penDown: this.surface.penDown,
      sentAt: this.calls.sentAt, hasShown: this.calls.hasShown}, performance.now());
    if (wait === null) return;
    this.timer = setTimeout(() => this.sendDrawing(), wait);
  }

  sendDrawing() {
    clearTimeout(this.timer);
    if (!this.canMake || !this.settings.check()) return;
    const {drawing} = this.surface;
    const work = newWork("strokes", this.order(), drawing.png(), structuredClone(drawing.strokes));
    work.id = this.drawingId ??= work.id;
    const since = this.unsentSince;
    this.unsentSince = null;
    this.calls.start(work, since, true);
  }

  // --- What happened.

  settingsChanged() {
    this.showModel();
    if (this.mode === "strokes" && !this.surface.drawing.isBlank) {
      this.unsentSince ??= performance.now();
      this.scheduleDrawing();
    }
    this.showState();
  }

  showCall(work, running) {
    this.results.update(running);
    byId("stop").hidden = !running;
    if (this.mode === "strokes") this.scheduleDrawing();
    if (running || this.surface.penDown) return;
    if (work.sides.every((side) => side.images.some(Boolean))) {
      this.recent.add(work);
      this.recent.mark(work);
    }
  }

  showRecent(work) {
    this.select(work.mode);
    const {order} = work;
    byId("count").value = order.count;
    this.takeSeed(order.seed);
    if (work.mode === "strokes") {
      byId("guide").value = order.guideSteps;
      this.surface.drawing.set(structuredClone(work.strokes));
      store("strokes", work.strokes);
      this.drawingId = work.id;
      // Its pictures are here: nothing is to be sent.
      this.unsentSince = null;
      clearTimeout(this.timer);
    }
    this.showModel();
    this.results.show(work, false);
    this.recent.mark(work);
    this.showState();
  }

  takeSeed(seed) {
    byId("seed").value = seed;
    this.seedIsUsed = false;
    this.settings.check();
    this.settings.save();
    this.settingsChanged();
  }

  takeServer({contact, failure, models, address}) {
    const before = this.contact;
    const isNews = contact !== before || failure !== this.failure;
    this.contact = contact;
    this.failure = failure;
    this.address = address || this.address;
    if (models) this.settings.takeModels(models);
    this.showModel();
    const wasLost = before === "lost" || before === "gone" || before === "refused";
    if (contact === "found" && wasLost) {
      this.showBanner("good", "The server is back.", "Everything works again.");
      this.bannerTimer = setTimeout(() => { byId("banner").hidden = true; }, 4000);
      // What could not be made meanwhile.
      if (this.results.work?.mode === "strokes" && this.results.work.sides[0].failure) {
        this.unsentSince ??= performance.now();
      }
    }
    // Said once: a screen reader reads out whatever is said.
    if (isNews) this.showContact();
    this.showState();
    this.scheduleDrawing();
  }

  showModel() {
    this.settings.showModel();
    const version = this.settings.version("version");
    if (version?.channels) this.surface.setChannels(version.channels);
  }

  showBanner(kind, title, text) {
    clearTimeout(this.bannerTimer);
    byId("banner").hidden = false;
    byId("banner").dataset.kind = kind;
    byId("banner-title").textContent = title;
    byId("banner-text").textContent = text;
  }

  showContact() {
    const names = {
      connecting: "Connecting", found: "Connected", lost: "Lost", refused: "Refused", gone: "Ended"};
    byId("server").dataset.contact = this.contact;
    byId("server-text").textContent = names[this.contact];
    byId("server-address").textContent = this.address;
    byId("server").title = this.failure;
    if (this.contact === "lost") {
      this.showBanner("bad", "The server does not answer.",
          `Asking ${this.address} again until it does. Pictures that were made stay here.`);
    } else if (this.contact === "refused") {
      this.showBanner("bad", "The server does not say which models it has.", this.failure);
    } else if (this.contact === "gone") {
      this.showBanner("bad", "This page has lost its program.",
          "Start ddgan playground again, and open the address that it prints.");
    }
  }

  // The buttons, and what is said where there are no images yet.
  showState() {
    byId("make").disabled = !this.canMake;
    byId("invite").hidden = !this.surface.drawing.isBlank;
    byId("undo").disabled = byId("clear").disabled = this.surface.drawing.isBlank;
    if (!this.results.work) this.results.clear(...this.emptyText());
  }

  emptyText() {
    const {settings} = this;
    if (this.contact === "connecting") return ["Connecting to the server", this.address];
    if (this.contact !== "found") {
      return ["No server", "This page goes on by itself once there is one."];
    }
    if (settings.models.length === 0) {
      return ["The server has no model",
              "One that is put into its model folder shows up here by itself."];
    }
    if (!settings.canMake) {
      return ["No version is ready", "One that is being loaded shows up here by itself."];
    }
    if (this.mode === "strokes") {
      return ["Draw something",
              "Pictures appear while you draw. More guide steps leave the drawing further behind."];
    }
    if (this.mode === "versions") {
      const ready = settings.model.versions.filter(canServe);
      return ready.length > 1
          ? ["Two versions, one seed", "Each image of the one beside the same image of the other."]
          : ["There is only one version to serve",
             `A second one of ${settings.model.name} shows up here once the server has loaded it.`];
    }
    return ["Nothing made yet", "Each image starts as noise and is done after a few steps."];
  }
}

new Page();
