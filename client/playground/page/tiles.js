// Works, and how they are shown: one side, or two for two versions.
//
// A work is {id, mode, order, guide, strokes, sides}, with `guide` the base64 of
// the drawing's PNG file. A side is {source, images, failure, tookMs, firstMs}:
// `source` is the event "accepted", `images` the events "image" by position.

// How large a tile is, by how many there are.
function tileSize(count) {
  if (count === 1) return "one";
  if (count <= 4) return "few";
  return count <= 16 ? "some" : "many";
}

function pngUrl(base64) {
  return `data:image/png;base64,${base64}`;
}

class SideView {
  // onOpen(position) is called when an image that is done is chosen.
  constructor(work, side, onOpen) {
    this.side = side;
    this.root = element("section", {className: "side"});
    this.head = element("header");
    this.grid = element("div", {className: "grid"});
    this.grid.dataset.size = tileSize(work.order.count);
    this.grid.style.setProperty("--count", work.order.count);
    this.tiles = Array.from({length: work.order.count}, (_, position) => {
      const tile = element("button", {type: "button", className: "tile waiting", disabled: true});
      tile.append(element("img", {alt: "", hidden: true}), element("progress", {max: 1, value: 0}));
      tile.addEventListener("click", () => onOpen(position));
      return tile;
    });
    this.grid.append(...this.tiles);
    this.root.append(this.head, this.grid);
    this.name(work.order.count);
  }

  // What screen readers say of the tiles.
  name(count) {
    this.tiles.forEach((tile, position) => {
      const state = tile.classList.contains("done") ? "" : ", being made";
      tile.ariaLabel = `Image ${position + 1} of ${count}${state}`;
    });
  }

  showPreview({index, done, png}) {
    const tile = this.tiles[index];
    if (!tile || tile.classList.contains("done")) return;
    this.showPicture(tile, png);
    tile.classList.remove("waiting");
    const progress = tile.querySelector("progress");
    progress.max = this.side.source.steps;
    progress.value = done;
  }

  showImage({index, png}) {
    const tile = this.tiles[index];
    if (!tile) return;
    this.showPicture(tile, png);
    tile.classList.remove("waiting", "stale");
    tile.classList.add("done");
    tile.disabled = false;
    this.name(this.tiles.length);
  }

  showPicture(tile, png) {
    const picture = tile.querySelector("img");
    picture.src = pngUrl(png);
    picture.hidden = false;
    // Pixels stay pixels while they are few.
    picture.classList.toggle("pixels", this.side.source.width <= 128);
  }

  // What is there is of an earlier drawing, until it is replaced.
  takePicturesOf(other) {
    this.tiles.forEach((tile, position) => {
      const before = other?.tiles[position]?.querySelector("img");
      if (!before || before.hidden) return;
      tile.querySelector("img").replaceWith(before.cloneNode());
      tile.classList.remove("waiting");
      tile.classList.add("stale");
    });
  }

  showHead(title) {
    this.head.replaceChildren(element("h3", {textContent: title}));
    const {source} = this.side;
    if (source) {
      this.head.append(element("span", {
        className: "quiet digest", textContent: source.digest.slice(0, 12), title: source.digest}));
    }
  }
}

class Results {
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.views = [];
    this.work = null;
  }

  show(work, keepPictures) {
    const before = keepPictures ? this.views : [];
    this.work = work;
    this.views = work.sides.map((side, number) => {
      const view = new SideView(work, side, (position) => this.onOpen(work, number, position));
      view.takePicturesOf(before[number]);
      for (const image of side.images) if (image) view.showImage(image);
      return view;
    });
    byId("sides").dataset.count = work.sides.length;
    byId("sides").replaceChildren(...this.views.map((view) => view.root));
    byId("empty").hidden = true;
    this.update(false);
  }

  clear(lead, text) {
    this.work = null;
    this.views = [];
    byId("sides").replaceChildren();
    byId("results-title").textContent = "Images";
    byId("results-meta").textContent = "";
    byId("problem").hidden = true;
    byId("empty").hidden = false;
    byId("empty-lead").textContent = lead;
    byId("empty-text").textContent = text;
  }

  update(running) {
    const {work} = this;
    const made = work.sides.reduce((sum, side) => sum + side.images.filter(Boolean).length, 0);
    const wanted = work.order.count * work.sides.length;
    const plural = (n) => (n === 1 ? "1 image" : `${n} images`);
    byId("results-title").textContent =
        running ? `Making ${plural(wanted)}`
            : made < wanted ? `${made} of ${plural(wanted)}` : plural(made);
    byId("results-meta").textContent =
        work.sides.find((side) => side.waiting)?.waiting ?? this.describe();
    byId("sides").classList.toggle("ended", !running);
    if (work.sides.length > 1) {
      this.views.forEach((view, number) => {
        const {source} = work.sides[number];
        view.showHead(`Version ${source?.version ?? work.order.versions[number]}`);
      });
    }
    const failure = work.sides.find((side) => side.failure)?.failure;
    byId("problem").hidden = !failure;
    if (failure) byId("problem").textContent = failure;
    if (!running && made === wanted) byId("spoken").textContent = `${plural(made)} done`;
  }

  describe() {
    const {work} = this;
    const side = work.sides[0];
    if (!side.source) return "";
    const {model, version, seed, steps} = side.source;
    const parts = [work.sides.length > 1 ? model : `${model} ${version}`, `seed ${seed}`,
                   `${steps} ${steps === 1 ? "step" : "steps"}`];
    const first = work.sides.map((s) => s.firstMs).filter((ms) => ms !== null);
    const took = work.sides.map((s) => s.tookMs).filter((ms) => ms !== null);
    if (first.length) parts.push(`first picture ${Math.round(Math.min(...first))}\u00a0ms`);
    if (took.length === work.sides.length) {
      parts.push(`all ${Math.round(Math.max(...took))}\u00a0ms`);
    }
    return parts.join(" \u00b7 ");
  }
}
