// The canvas under a pointer and under the keyboard.

const GRAYS = [["#ffffff", "White"], ["#909090", "Gray"], ["#000000", "Black, to erase"]];
const COLOURS = [
  ["#ffffff", "White"], ["#f2c230", "Yellow"], ["#e8702a", "Orange"], ["#c8322b", "Red"],
  ["#4a9e46", "Green"], ["#3f8ed0", "Sky blue"], ["#24407c", "Dark blue"], ["#8a5a36", "Brown"],
  ["#e0b48c", "Skin"], ["#909090", "Gray"], ["#303030", "Dark gray"],
  ["#000000", "Black, to erase"],
];

class Surface {
  // onChange is called after each change of the drawing.
  constructor(onChange) {
    this.canvas = byId("canvas");
    // The drawing is read back often, so a graphics card would be in the way.
    const context = this.canvas.getContext("2d", {alpha: false, willReadFrequently: true});
    this.drawing = new Drawing(context);
    this.onChange = onChange;
    this.colour = "#ffffff";
    this.channels = 0;
    this.penDown = false;
    this.keyPoint = [SIDE / 2, SIDE / 2];
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(end, () => this.lift());
    }
    this.canvas.addEventListener("pointerleave", () => this.hidePen());
    this.canvas.addEventListener("keydown", (event) => this.takeKey(event));
    this.canvas.addEventListener("focus", () => {
      if (this.canvas.matches(":focus-visible")) this.showPen(this.keyPoint, true);
    });
    this.canvas.addEventListener("blur", () => {
      this.lift();
      this.hidePen();
    });
    byId("undo").addEventListener("click", () => this.undo());
    byId("clear").addEventListener("click", () => this.clear());
    byId("example").addEventListener("click", () => this.drawExample());
    byId("brush").addEventListener("input", () => this.showBrush());
    this.showBrush();
  }

  get brush() {
    return Number(byId("brush").value);
  }

  showBrush() {
    byId("brush-text").textContent = this.brush;
  }

  setChannels(channels) {
    if (channels === this.channels) return;
    this.channels = channels;
    const list = channels === 3 ? COLOURS : GRAYS;
    if (!list.some(([colour]) => colour === this.colour)) this.colour = "#ffffff";
    byId("swatches").replaceChildren(...list.map(([colour, name]) => {
      const swatch = element(
          "input", {type: "radio", name: "colour", ariaLabel: name, title: name});
      swatch.checked = colour === this.colour;
      swatch.style.setProperty("--swatch", colour);
      swatch.addEventListener("change", () => { this.colour = colour; });
      return swatch;
    }));
  }

  pointOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * SIDE / box.width,
            (event.clientY - box.top) * SIDE / box.height];
  }

  press(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.put(this.pointOf(event));
  }

  move(event) {
    const point = this.pointOf(event);
    this.showPen(point, false);
    if (!this.penDown) return;
    let moved = false;
    for (const step of event.getCoalescedEvents?.() ?? []) {
      moved = this.drawing.extend(this.pointOf(step)) || moved;
    }
    moved = this.drawing.extend(point) || moved;
    if (moved) this.onChange();
  }

  put(point) {
    this.penDown = true;
    this.drawing.begin(this.colour, this.brush, point);
    this.showPen(point, false);
    this.onChange();
  }

  lift() {
    if (!this.penDown) return;
    this.penDown = false;
    byId("pen").classList.remove("down");
    this.onChange();
  }

  takeKey(event) {
    const far = event.shiftKey ? 32 : 8;
    const moves = {
      ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far]};
    if (event.key === " ") {
      if (this.penDown) this.lift();
      else this.put(this.keyPoint);
    } else if (event.key === "Escape" && this.penDown) {
      this.lift();
    } else if (moves[event.key]) {
      this.keyPoint = this.keyPoint.map(
          (at, axis) => Math.min(SIDE, Math.max(0, at + moves[event.key][axis])));
      if (this.penDown && this.drawing.extend(this.keyPoint)) this.onChange();
    } else {
      return;
    }
    event.preventDefault();
    this.showPen(this.keyPoint, true);
  }

  // A ring of the brush's size where the pen is.
  showPen([x, y], byKey) {
    const pen = byId("pen");
    pen.hidden = false;
    pen.classList.toggle("key", byKey);
    pen.classList.toggle("down", this.penDown);
    pen.style.left = `${x / SIDE * 100}%`;
    pen.style.top = `${y / SIDE * 100}%`;
    pen.style.width = pen.style.height = `${this.brush / SIDE * 100}%`;
  }

  hidePen() {
    byId("pen").hidden = true;
  }

  undo() {
    if (this.drawing.isBlank) return;
    this.penDown = false;
    this.drawing.undo();
    this.onChange();
  }

  clear() {
    this.penDown = false;
    this.drawing.set([]);
    this.onChange();
  }

  drawExample() {
    this.penDown = false;
    this.drawing.set(EXAMPLE.map((points) => ({colour: "#ffffff", size: this.brush, points})));
    this.onChange();
  }
}
