// The dialog about one image.

function saveFile(name, base64) {
  const link = element("a", {href: pngUrl(base64), download: name});
  link.click();
}

function say(text) {
  const toast = byId("toast");
  toast.textContent = text;
  toast.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => toast.classList.remove("shown"), 2500);
}

async function copyText(text, of) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
  } catch {
    // Without the permission: selected, so that it takes one key.
    getSelection().selectAllChildren(of);
    say("Press Ctrl+C to copy");
  }
}

class Details {
  // onSeed(seed) is called when somebody wants to go on from an image's seed.
  constructor(onSeed) {
    this.dialog = byId("details");
    byId("details-close").addEventListener("click", () => this.dialog.close());
    byId("details-before").addEventListener("click", () => this.go(-1));
    byId("details-after").addEventListener("click", () => this.go(1));
    byId("details-copy").addEventListener(
        "click", () => copyText(this.image.command, byId("details-command")));
    byId("details-download").addEventListener(
        "click", () => saveFile(this.image.file, this.image.png));
    byId("details-strokes").addEventListener(
        "click", () => saveFile(this.side.source.guide_file, this.work.guide));
    byId("details-seed").addEventListener("click", () => {
      this.dialog.close();
      onSeed(this.side.source.seed);
    });
    this.dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.go(-1);
      if (event.key === "ArrowRight") this.go(1);
    });
    // A click beside the dialog is one on its backdrop.
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  open(work, sideNumber, position) {
    this.work = work;
    this.sideNumber = sideNumber;
    this.position = position;
    this.show();
    if (!this.dialog.open) this.dialog.showModal();
  }

  get side() {
    return this.work.sides[this.sideNumber];
  }

  get image() {
    return this.side.images[this.position];
  }

  go(step) {
    for (let at = this.position + step; at >= 0 && at < this.side.images.length; at += step) {
      if (!this.side.images[at]) continue;
      this.position = at;
      this.show();
      return;
    }
  }

  show() {
    const {source} = this.side;
    const {image, work} = this;
    const picture = byId("details-image");
    picture.src = pngUrl(image.png);
    picture.alt = `Image ${image.index} of seed ${source.seed}`;
    picture.classList.toggle("pixels", source.width <= 128);
    byId("details-title").textContent = `Image ${this.position + 1} of ${work.order.count}`;
    const facts = [
      ["Seed", source.seed], ["Index", image.index], ["Model", source.model],
      ["Version", source.version], ["Steps", source.steps],
      ["Size", `${source.width} \u00d7 ${source.height}`], ["Digest", source.digest],
    ];
    byId("details-facts").replaceChildren(...facts.flatMap(([name, value]) => [
      element("dt", {textContent: name}), element("dd", {textContent: value})]));
    byId("details-command").replaceChildren(...image.command.split(" ").flatMap(
        (word, number) => [number ? " " : "", element("span", {textContent: word})]));
    byId("details-note").hidden = !source.guide_file;
    byId("details-note").textContent =
        `It reads the drawing from ${source.guide_file}: download the strokes ` +
        "into the folder in which you run it.";
    byId("details-strokes").hidden = !source.guide_file;
    byId("details-before").disabled = !this.side.images.slice(0, this.position).some(Boolean);
    byId("details-after").disabled = !this.side.images.slice(this.position + 1).some(Boolean);
  }
}
