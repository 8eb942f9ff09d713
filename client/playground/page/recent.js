// The strip of recent works. They outlive a reload of the page, not the tab.

const MAX_WORKS = 24;

// Keeps what fits; the browser says what does not.
function store(key, value) {
  try {
    sessionStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

function restore(key, otherwise) {
  try {
    return JSON.parse(sessionStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

class Recent {
  // onShow(work) is called when one is chosen.
  constructor(onShow) {
    this.onShow = onShow;
    this.works = restore("works", []);
    byId("forget").addEventListener("click", () => {
      this.works = [];
      this.save();
    });
    this.show();
  }

  // The newest first. One of the same id is another state of the same drawing.
  add(work) {
    this.works = [work, ...this.works.filter((other) => other.id !== work.id)].slice(0, MAX_WORKS);
    this.save();
  }

  latestOf(mode) {
    return this.works.find((work) => work.mode === mode);
  }

  save() {
    const kept = [...this.works];
    while (!store("works", kept) && kept.length > 0) kept.pop();
    this.show();
  }

  mark(work) {
    for (const [number, item] of [...byId("strip").children].entries()) {
      const current = this.works[number].id === work?.id;
      item.querySelector("button").ariaCurrent = current ? "true" : "false";
    }
  }

  show() {
    byId("recent").hidden = this.works.length === 0;
    byId("strip").replaceChildren(...this.works.map((work) => {
      const [side] = work.sides;
      const pictures = work.sides.flatMap(
          (s) => s.images.filter(Boolean).slice(0, 4 / work.sides.length));
      const thumb = element("span", {className: "thumb"});
      thumb.dataset.count = Math.min(4, pictures.length);
      thumb.append(...pictures.map((image) => element("img", {
        src: pngUrl(image.png), alt: "", className: side.source.width <= 128 ? "pixels" : ""})));
      if (work.guide) {
        thumb.append(element("img", {src: pngUrl(work.guide), alt: "", className: "guide"}));
      }
      const what = {
        noise: `Seed ${side.source.seed}`,
        strokes: `Strokes, ${side.source.steps} ${side.source.steps === 1 ? "step" : "steps"}`,
        versions: work.sides.map((s) => s.source.version).join(" | "),
      }[work.mode];
      const button = element("button", {type: "button", className: "work-item"});
      const count = work.order.count * work.sides.length;
      button.append(thumb, element("span", {className: "caption", textContent: what}),
                    element("span", {className: "quiet", textContent:
                        `${side.source.model}, ${count} ${count === 1 ? "image" : "images"}`}));
      button.addEventListener("click", () => this.onShow(work));
      const item = element("li");
      item.append(button);
      return item;
    }));
  }
}
