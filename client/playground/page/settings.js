// What is asked for: the fields, and what the server has to choose from.

const MAX_COUNT = 64;
const MAX_SEED = 2n ** 64n - 1n;

function byId(id) {
  return document.getElementById(id);
}

function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

// What is wrong with a field's text; empty: nothing.
function countError(text) {
  const count = Number(text);
  return /^\d+$/.test(text) && count >= 1 && count <= MAX_COUNT
      ? "" : `Images: a whole number from 1 to ${MAX_COUNT}.`;
}

function seedError(text) {
  return /^\d{1,20}$/.test(text) && BigInt(text) <= MAX_SEED
      ? "" : `Seed: a whole number from 0 to ${MAX_SEED}.`;
}

function canServe(version) {
  return version.state === "live" || version.state === "loaded";
}

// Puts options, each [value, text, disabled], into a <select>, and chooses
// `wanted` or else the first that can be chosen. One that is open stays so while
// nothing changes.
function fill(select, options, wanted) {
  const same = select.options.length === options.length &&
      options.every(([value, text, disabled], i) => select.options[i].value === value &&
          select.options[i].text === text && select.options[i].disabled === disabled);
  if (!same) {
    select.replaceChildren(...options.map(
        ([value, text, disabled]) => element("option", {value, textContent: text, disabled})));
  }
  const chosen = options.find(([value, , disabled]) => value === wanted && !disabled) ??
      options.find(([, , disabled]) => !disabled);
  const value = chosen ? chosen[0] : "";
  if (select.value !== value) select.value = value;
}

class Settings {
  // onChange is called when model, version, guide steps, count or seed change.
  constructor(onChange) {
    this.models = [];
    const saved = restore("settings", {});
    byId("count").value = saved.count ?? "4";
    byId("seed").value = saved.seed ?? this.anotherSeed();
    byId("fresh").checked = saved.fresh ?? true;
    // What a model allows is known later.
    byId("guide").max = Math.max(byId("guide").max, saved.guide ?? 0);
    byId("guide").value = saved.guide ?? 2;
    byId("brush").value = saved.brush ?? 24;
    this.wanted = saved;
    const changed = () => {
      this.check();
      this.save();
      onChange();
    };
    byId("fewer").addEventListener("click", () => this.addToCount(-1, changed));
    byId("more").addEventListener("click", () => this.addToCount(1, changed));
    byId("draw-seed").addEventListener("click", () => {
      byId("seed").value = this.anotherSeed();
      byId("seed").dispatchEvent(new Event("input"));
    });
    // Before what follows, which looks at the version.
    byId("model").addEventListener("input", () => this.showVersions());
    for (const id of ["model", "version", "other", "count", "seed", "guide"]) {
      byId(id).addEventListener("input", changed);
    }
    for (const id of ["fresh", "brush"]) byId(id).addEventListener("input", () => this.save());
  }

  save() {
    const value = (id) => byId(id).value;
    store("settings", {
      model: value("model"), version: value("version"), other: value("other"),
      guide: value("guide"), count: value("count"), seed: value("seed"), brush: value("brush"),
      fresh: byId("fresh").checked});
  }

  // Below 10^8: easy to read out to somebody.
  anotherSeed() {
    return String(crypto.getRandomValues(new Uint32Array(1))[0] % 100000000);
  }

  addToCount(change, changed) {
    const count = Number(byId("count").value) || 0;
    byId("count").value = Math.min(MAX_COUNT, Math.max(1, count + change));
    changed();
  }

  // Whether the fields hold numbers that can be asked for; says so if not.
  check() {
    let good = true;
    for (const [id, error] of [["count", countError], ["seed", seedError]]) {
      const text = error(byId(id).value.trim());
      byId(id).ariaInvalid = text ? "true" : "false";
      byId(`${id}-error`).hidden = !text;
      byId(`${id}-error`).textContent = text;
      good = good && !text;
    }
    return good;
  }

  get model() {
    return this.models.find((model) => model.name === byId("model").value);
  }

  // The version that a <select> means, with its shape and steps.
  version(id) {
    const wanted = byId(id).value || this.model?.live;
    return this.model?.versions.find((version) => version.version === wanted);
  }

  get canMake() {
    return Boolean(this.version("version") && canServe(this.version("version")));
  }

  takeModels(models) {
    this.models = models;
    fill(byId("model"), models.map((model) => [model.name, model.name, false]),
         byId("model").value || this.wanted.model || "");
    this.showVersions();
  }

  showVersions() {
    const {model} = this;
    const versions = model?.versions ?? [];
    const options = versions.map((v) => [
      v.version, canServe(v) ? v.version : `${v.version} (${v.state})`, !canServe(v)]);
    const live = model?.live ? [["", `Live (${model.live})`, false]] : [];
    fill(byId("version"), [...live, ...options],
         byId("version").value || this.wanted.version || "");
    const second = versions.find((v) => canServe(v) && v.version !== model.live);
    fill(byId("other"), options,
         byId("other").value || this.wanted.other || second?.version || "");
    this.wanted = {};
    this.showModel();
  }

  // What the chosen version is, and what the guide steps can be.
  showModel() {
    const version = this.version("version");
    let note = "";
    if (version?.width) {
      const kind = version.channels === 1 ? "gray" : "colour";
      note = `${version.width} \u00d7 ${version.height} ${kind}, ${version.steps} steps` +
          (["", "unknown"].includes(version.dataset) ? "" : `, trained on ${version.dataset}`);
      byId("guide").max = version.steps;
    } else if (this.model) {
      note = "No version of this model is ready to serve.";
    }
    byId("model-note").textContent = note;
    byId("guide-text").textContent = `${byId("guide").value} of ${byId("guide").max}`;
  }
}
