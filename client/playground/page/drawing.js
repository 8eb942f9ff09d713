// A drawing: strokes in a square of 256 x 256, which can be undone one by one.

const SIDE = 256;
const EXAMPLE = [
  [[60, 62], [110, 58], [160, 58], [196, 62]],
  [[196, 62], [172, 108], [148, 152], [128, 206]],
  [[108, 132], [140, 130], [178, 132]],
];

class Drawing {
  constructor(context) {
    this.context = context;
    this.strokes = [];
    this.paint();
  }

  get isBlank() {
    return this.strokes.length === 0;
  }

  begin(colour, size, point) {
    this.strokes.push({colour, size, points: [point]});
    this.paintFrom(this.strokes.at(-1), 0);
  }

  extend(point) {
    const stroke = this.strokes.at(-1);
    const last = stroke.points.at(-1);
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) < 1) return false;
    stroke.points.push(point);
    this.paintFrom(stroke, stroke.points.length - 2);
    return true;
  }

  undo() {
    this.strokes.pop();
    this.paint();
  }

  set(strokes) {
    this.strokes = strokes;
    this.paint();
  }

  paint() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, SIDE, SIDE);
    for (const stroke of this.strokes) this.paintFrom(stroke, 0);
  }

  // The lines of a stroke from its point number `first` on.
  paintFrom(stroke, first) {
    const {context} = this;
    context.strokeStyle = stroke.colour;
    context.lineWidth = stroke.size;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...stroke.points[first]);
    // Also of a single point there is a dot.
    context.lineTo(...stroke.points[first]);
    for (const point of stroke.points.slice(first + 1)) context.lineTo(...point);
    context.stroke();
  }

  // Base64 of a PNG file.
  png() {
    return this.context.canvas.toDataURL("image/png").split(",")[1];
  }
}
