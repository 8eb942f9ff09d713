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
    this.paintTo(this.strokes.at(-1), 0);
  }

  extend(point) {
    const stroke = this.strokes.at(-1);
    const last = stroke.points.at(-1);
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) < 1) return false;
    stroke.points.push(point);
    this.paintTo(stroke, stroke.points.length - 1);
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
    for (const stroke of this.strokes) {
      stroke.points.forEach((_, number) => this.paintTo(stroke, number));
    }
  }

  // The line to a stroke's point from the one before, or a dot. One at a time
  // also where there are several, so that a drawing has the same pixels, which
  // its pictures depend on, while it is drawn and ever after.
  paintTo(stroke, number) {
    const {context} = this;
    context.strokeStyle = stroke.colour;
    context.lineWidth = stroke.size;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(...stroke.points[Math.max(0, number - 1)]);
    context.lineTo(...stroke.points[number]);
    context.stroke();
  }

  // Base64 of a PNG file.
  png() {
    return this.context.canvas.toDataURL("image/png").split(",")[1];
  }
}
