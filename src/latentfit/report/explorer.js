// The explorer of a latentfit report: the trained networks, run in the page.
//
//   bytes      what the page carries: packed as zlib in base64, weights as integers
//   networks   image -> code -> image, a plain stack of linear layers, by hand
//   pictures   pixels on canvases, errors, the nearest real image
//   state      what is shown, written into the URL's fragment, so that a link reproduces a view
//   walk, dials, map, sizes     the four things to do, each with a `show` that draws it from the state
//
// Nothing is fetched, nothing is stored, names are only ever text. A picture is a Float32Array of H × W (× 3)
// numbers in [0, 1], a code a Float32Array of K.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("explorer-data").textContent);
  const [height, width, channels = 1] = data.shape;
  const pixels = height * width * channels;
  const className = (i) => (data.classes ? data.classes[data.labels[i]] : "");
  const called = (i) => `test image ${data.indices[i]}${data.classes ? `, ${className(i)}` : ""}`;

  // ---- bytes

  async function unpack(text) {
    const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** Numbers whose first bytes come first, then all second bytes, and so on. */
  function joined(planes, bytesEach) {
    const count = planes.length / bytesEach;
    const bytes = new Uint8Array(planes.length);
    for (let b = 0; b < bytesEach; b++) {
      for (let i = 0; i < count; i++) bytes[i * bytesEach + b] = planes[b * count + i];
    }
    return bytes.buffer;
  }

  const floats = async (text) => new Float32Array(joined(await unpack(text), 4));

  /** Weights: whole numbers times a step; of each number its highest byte, then bit by bit the `low` lower ones. */
  function scaled(planes, at, count, low, step) {
    const bytesEach = Math.ceil(count / 8), values = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      let whole = (planes[at + i] << 24) >> 24; // signed
      for (let b = 0; b < low; b++) {
        whole = 2 * whole + ((planes[at + count + b * bytesEach + (i >> 3)] >> (7 - (i & 7))) & 1);
      }
      values[i] = step * whole;
    }
    return [values, at + count + low * bytesEach];
  }

  // ---- networks

  const activations = { relu: (a) => (a > 0 ? a : 0), silu: (a) => a / (1 + Math.exp(-a)) };
  const outputs = { sigmoid: (a) => 1 / (1 + Math.exp(-a)), linear: (a) => a, clamp: (a) => Math.min(Math.max(a, 0), 1) };

  /** One linear layer and the function behind it; `weight` is (out, in). */
  function linear({ weight, bias }, x, after) {
    const n = x.length, y = new Float32Array(bias.length);
    for (let o = 0, w = 0; o < y.length; o++, w += n) {
      let a = 0, b = 0, c = 0, d = 0, i = 0;
      for (; i + 3 < n; i += 4) {
        a += weight[w + i] * x[i];
        b += weight[w + i + 1] * x[i + 1];
        c += weight[w + i + 2] * x[i + 2];
        d += weight[w + i + 3] * x[i + 3];
      }
      for (; i < n; i++) a += weight[w + i] * x[i];
      y[o] = after(a + b + c + d + bias[o]);
    }
    return y;
  }

  /** The two halves: their layers and, where there is one, the linear path beside them. */
  async function halvesOf({ layers: sizes, linear: hasPath, weights: { planes, low, steps, biases } }) {
    const bytes = await unpack(planes), offsets = await floats(biases);
    let matrix = 0, at = 0, used = 0, weight;
    const take = (count) => {
      [weight, at] = scaled(bytes, at, count, low[matrix], steps[matrix]);
      matrix++;
      return weight;
    };
    return [sizes, [...sizes].reverse()].map((widths) => {
      const layers = widths.slice(1).map((out, i) => ({
        weight: take(out * widths[i]), bias: offsets.subarray(used, (used += out)),
      }));
      const last = widths[widths.length - 1];
      return { layers, path: hasPath ? { weight: take(widths[0] * last), bias: new Float32Array(last) } : null };
    });
  }

  async function network(told) {
    const [encoder, decoder] = await halvesOf(told);
    const between = activations[told.activation], same = outputs.linear;
    const run = ({ layers, path }, x, last) => {
      const y = layers.reduce((h, layer, i) => linear(layer, h, i + 1 < layers.length ? between : same), x);
      const beside = path && linear(path, x, same);
      return y.map((a, i) => last(beside ? a + beside[i] : a));
    };
    const [axes, map, errors] = await Promise.all([told.axes, told.map, told.errors].map((text) => floats(text)));
    return {
      ...told, axes, map, errors,
      encode: (x) => run(encoder, x, same),
      decode: (z) => run(decoder, z, outputs[told.output]),
    };
  }

  /** Where a code lies along the principal direction i of the real codes, from their mean. */
  function along(net, z, i) {
    let sum = 0;
    for (let j = 0; j < net.latentDim; j++) sum += (z[j] - net.mean[j]) * net.axes[i * net.latentDim + j];
    return sum;
  }

  function moved(net, z, i, by) {
    return z.map((value, j) => value + by * net.axes[i * net.latentDim + j]);
  }

  /** The share of real codes that lie nearer to their mean than this one, in [0, 1] (Mahalanobis' distance). */
  function farOut(net, z) {
    let sum = 0, count = 0;
    for (let i = 0; i < net.latentDim; i++) {
      if (net.std[i] > 0) { sum += (along(net, z, i) / net.std[i]) ** 2; count++; }
    }
    const distance = Math.sqrt(sum / Math.max(1, count));
    const beyond = net.far.filter((quantile) => quantile < distance).length;
    return { share: beyond / net.far.length, outside: distance / (net.far[net.far.length - 1] || 1) };
  }

  // ---- pictures

  let images; // bytes of all images, one after the other
  const image = (i) => Float32Array.from(images.subarray(i * pixels, (i + 1) * pixels), (v) => v / 255);

  function bytesOf(picture) {
    const rgba = new Uint8ClampedArray(height * width * 4).fill(255);
    for (let p = 0; p < height * width; p++) {
      for (let c = 0; c < 3; c++) rgba[4 * p + c] = Math.round(255 * picture[p * channels + (channels === 3 ? c : 0)]);
    }
    return new ImageData(rgba, width, height);
  }

  function paint(canvas, picture, label) {
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d", { willReadFrequently: true }).putImageData(bytesOf(picture), 0, 0);
    canvas.setAttribute("aria-label", label);
  }

  function error(a, b) {
    let sum = 0;
    for (let i = 0; i < pixels; i++) sum += (a[i] - b[i]) ** 2;
    return sum / pixels;
  }

  function nearest(picture) {
    let best = 0, least = Infinity;
    for (let i = 0; i < data.indices.length; i++) {
      let sum = 0;
      for (let p = 0, at = i * pixels; p < pixels && sum < least; p++) sum += (images[at + p] / 255 - picture[p]) ** 2;
      if (sum < least) [best, least] = [i, sum];
    }
    return best;
  }

  const mixed = (a, b, t) => a.map((value, i) => (1 - t) * value + t * b[i]);
  const dims = (net) => `${net.latentDim} dimension${net.latentDim === 1 ? "" : "s"}`;
  const short = (value) => value.toPrecision(3);

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  /** A picture with words under it: `draw(picture, label, caption)` fills it. */
  function frame(parent, extra = []) {
    const canvas = element("canvas", { role: "img" }), caption = element("figcaption");
    parent.append(element("figure", {}, canvas, caption, ...extra));
    return (picture, label, words = label) => { paint(canvas, picture, label); caption.textContent = words; };
  }

  // ---- state

  const state = { at: "walk", from: 0, to: 1, t: 0.5, k: 0, base: 0, z: null, map: 0, pick: 0, hidden: [], rank: 0 };
  Object.assign(state, { zoom: 1, x: 0, y: 0, thumbs: 0 }); // of the map: how much larger than whole, what is its middle
  const dropped = {}; // pictures that are no test images, by end; a link cannot hold them
  let nets = [];
  const netOf = (k) => nets.find((net) => net.latentDim === k);
  const pictureAt = (end) => dropped[end] || image(state[end]);
  const nameAt = (end) => (dropped[end] ? "your image" : called(state[end]));

  function write() {
    const z = state.z ? Array.from(state.z, short).join("_") : "";
    const text = new URLSearchParams({ ...state, hidden: state.hidden.join("."), z });
    try {
      history.replaceState(null, "", `#${text}`);
    } catch { /* some browsers forbid it for a while after many, or in a frame: then the address stays behind */ }
  }

  /** Take what the fragment says of a view; false where it says of none: it may be an anchor of the article. */
  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (!given.has("k")) return false;
    const number = (key, fits) => {
      const value = given.get(key) ? Number(given.get(key)) : NaN;
      if (fits(value)) state[key] = value;
    };
    const place = (value) => Number.isInteger(value) && value >= 0 && value < data.indices.length;
    for (const key of ["from", "to", "base", "pick", "rank"]) number(key, place);
    for (const key of ["k", "map"]) number(key, netOf);
    for (const key of ["t", "thumbs"]) number(key, (value) => value >= 0 && value <= 1);
    for (const key of ["x", "y"]) number(key, (value) => Math.abs(value) <= 1);
    number("zoom", (value) => value >= 1 && value <= 40);
    if (["walk", "dials", "map", "sizes"].includes(given.get("at"))) state.at = given.get("at");
    const text = given.get("z"), z = text ? text.split("_").map(Number) : [];
    state.z = z.length === state.k && z.every(Number.isFinite) ? Float32Array.from(z) : null;
    const hidden = (given.get("hidden") || "").split(".").filter(Boolean).map(Number);
    state.hidden = (data.classes || []).map((_, c) => c).filter((c) => hidden.includes(c));
    for (const end of ["from", "to"]) delete dropped[end];
    return true;
  }

  /** Draw at the next frame, once however often it is asked for: while something is dragged the latest value wins. */
  function soon(draw) {
    let asked = false;
    return () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => { asked = false; draw(); });
    };
  }

  /** Do it when nothing has changed for a moment. */
  function atRest(act) {
    let timer;
    return () => { clearTimeout(timer); timer = setTimeout(() => { act(); write(); }, 150); };
  }

  // ---- walk

  const walk = {
    shelf: [], // places of images with their buttons
    build() {
      for (const i of data.shelf) {
        const canvas = element("canvas", { "aria-hidden": "true" });
        paint(canvas, image(i), "");
        const button = element("button", { type: "button", "aria-label": called(i) }, canvas);
        button.addEventListener("click", () => this.set(document.querySelector("[name=end]:checked").value, i));
        find("shelf").append(button);
        this.shelf.push([i, button]);
      }
      this.ends = { from: frame(find("ends")), to: frame(find("ends")) };
      this.fade = frame(find("steps"));
      this.steps = nets.map((net) => {
        const near = element("canvas", { role: "img", class: "near" }), words = element("p", { class: "near" });
        return { net, near, words, draw: frame(find("steps"), [near, words]) };
      });
      const show = soon(() => this.show()), rest = atRest(() => this.rest());
      find("walk-t").addEventListener("input", () => { state.t = Number(find("walk-t").value); show(); rest(); });
      find("drop-file").addEventListener("change", (event) => this.take(event.target.files[0]));
      const zone = find("drop");
      for (const kind of ["dragover", "drop"]) zone.addEventListener(kind, (event) => event.preventDefault());
      zone.addEventListener("drop", (event) => this.take(event.dataTransfer.files[0]));
    },
    set(end, i) {
      delete dropped[end];
      state[end] = i;
      this.show();
      this.rest();
      write();
    },
    async take(file) {
      if (!file) return;
      const end = document.querySelector("[name=end]:checked").value, turn = (this.turn = (this.turn || 0) + 1);
      try {
        const picture = await seen(file);
        if (turn !== this.turn) return; // another was dropped meanwhile
        dropped[end] = picture;
      } catch {
        find("walk-said").textContent = `${file.name} is no picture that this browser can read.`;
        return;
      }
      this.show();
      this.rest();
    },
    show() {
      const a = pictureAt("from"), b = pictureAt("to"), t = state.t;
      find("walk-t").value = t;
      for (const end of ["from", "to"]) this.ends[end](pictureAt(end), nameAt(end), `${end}: ${nameAt(end)}`);
      const chosen = ["from", "to"].filter((end) => !dropped[end]).map((end) => state[end]);
      for (const [i, button] of this.shelf) button.setAttribute("aria-pressed", chosen.includes(i));
      this.fade(mixed(a, b, t), `cross-fade of the two pictures at ${percent(t)}`, "pixel cross-fade");
      for (const step of this.steps) {
        const { net } = step;
        step.picture = net.decode(mixed(net.encode(a), net.encode(b), t));
        step.draw(step.picture, `${dims(net)} at ${percent(t)}`, dims(net));
      }
    },
    rest() {
      const said = this.steps.map((step) => {
        const i = nearest(step.picture), apart = short(error(step.picture, image(i)));
        paint(step.near, image(i), `nearest real image: ${called(i)}`);
        step.words.textContent = `nearest: ${className(i) || called(i)}, at ${apart}`;
        return `${dims(step.net)}: nearest to ${called(i)}, at ${apart}`;
      });
      find("walk-said").textContent = `At ${percent(state.t)} from ${nameAt("from")} to ${nameAt("to")}. ${said.join(". ")}.`;
    },
  };

  const percent = (share) => `${Math.round(100 * share)} %`;

  /** A picture file as the network sees it: scaled to fit, grey where the images are. */
  async function seen(file) {
    const bitmap = await createImageBitmap(file);
    const canvas = element("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillRect(0, 0, width, height);
    const scale = Math.min(width / bitmap.width, height / bitmap.height);
    const [w, h] = [bitmap.width * scale, bitmap.height * scale];
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
    const rgba = context.getImageData(0, 0, width, height).data;
    const picture = new Float32Array(pixels);
    for (let p = 0; p < height * width; p++) {
      const [r, g, b] = rgba.subarray(4 * p, 4 * p + 3);
      if (channels === 3) picture.set([r / 255, g / 255, b / 255], 3 * p);
      else picture[p] = (0.299 * r + 0.587 * g + 0.114 * b) / 255;
    }
    return picture;
  }

  function chooser(id, key, changed) {
    for (const net of nets) find(id).append(element("option", { value: net.latentDim }, dims(net)));
    find(id).addEventListener("change", () => { state[key] = Number(find(id).value); changed(); write(); });
  }

  // ---- dials

  const dials = {
    build() {
      chooser("dials-k", "k", () => { state.z = null; this.renew(); });
      this.start = frame(find("dials-pictures"));
      this.now = frame(find("dials-pictures"));
      find("dials-reset").addEventListener("click", () => { state.z = null; this.show(); this.rest(); write(); });
      find("raw").addEventListener("toggle", () => this.show());
      this.soon = soon(() => this.show());
      this.later = atRest(() => this.rest());
    },
    /** Sliders for the size that is chosen, and all that they show. */
    renew() {
      const net = netOf(state.k);
      find("dials-k").value = state.k;
      find("dial-list").replaceChildren();
      find("raw-list").replaceChildren();
      this.sliders = net.low.map((low, i) => {
        const strip = element("canvas", { role: "img", "aria-label": `what dial ${i + 1} does` });
        const slider = this.slider(`dial ${i + 1}`, low, net.high[i], find("dial-list"), [strip]);
        slider.addEventListener("input", () => {
          const z = this.code();
          this.turn(moved(net, z, i, Number(slider.value) - along(net, z, i)));
        });
        return { slider, strip };
      });
      this.raw = net.boxLow.map((low, j) => {
        const slider = this.slider(`dimension ${j}`, low, net.boxHigh[j], find("raw-list"));
        slider.addEventListener("input", () => {
          const z = this.code().slice();
          z[j] = Number(slider.value);
          this.turn(z);
        });
        return slider;
      });
      this.show();
      this.rest();
    },
    slider(name, low, high, parent, extra = []) {
      const made = element("input", { type: "range", min: low, max: high, step: "any" });
      parent.append(element("div", { class: "dial" }, element("label", {}, element("span", {}, name), made), ...extra));
      return made;
    },
    code() {
      return state.z || netOf(state.k).encode(image(state.base));
    },
    turn(z) {
      state.z = z;
      this.soon();
      this.later();
    },
    show() {
      const net = netOf(state.k), z = this.code(), x = image(state.base), x_hat = net.decode(z);
      this.start(x, called(state.base), `from ${called(state.base)}`);
      this.now(x_hat, `decoded from ${dims(net)}`, `error to it ${short(error(x, x_hat))}`);
      this.sliders.forEach(({ slider }, i) => { slider.value = along(net, z, i); });
      if (find("raw").open) this.raw.forEach((slider, j) => { slider.value = z[j]; });
      const { share, outside } = farOut(net, z);
      find("far").value = share;
      find("far-said").textContent =
        outside > 1 ? `outside: ${short(outside)} times as far out as the farthest real code` : `further out than ${percent(share)} of real codes`;
    },
    rest() {
      const net = netOf(state.k), z = this.code();
      this.sliders.forEach(({ strip }, i) => {
        const here = along(net, z, i);
        strip.width = 5 * width;
        strip.height = height;
        for (let s = 0; s < 5; s++) {
          const at = net.low[i] + ((net.high[i] - net.low[i]) * s) / 4;
          strip.getContext("2d").putImageData(bytesOf(net.decode(moved(net, z, i, at - here))), s * width, 0);
        }
      });
      const words = `${dims(net)} from ${called(state.base)}: ${find("far-said").textContent}`;
      find("dials-said").textContent = `${words}, error ${short(error(image(state.base), net.decode(z)))}.`;
    },
    open(i, k) {
      Object.assign(state, { at: "dials", base: i, k, z: null });
      this.renew();
      write();
      find("dials").scrollIntoView();
    },
  };

  // ---- map

  const colours = ["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"];
  const shapes = [
    (c, r) => c.arc(0, 0, r, 0, 7),
    (c, r) => c.rect(-r, -r, 2 * r, 2 * r),
    (c, r) => { c.moveTo(0, -1.2 * r); c.lineTo(1.1 * r, r); c.lineTo(-1.1 * r, r); c.closePath(); },
    (c, r) => { c.moveTo(0, -1.3 * r); c.lineTo(1.3 * r, 0); c.lineTo(0, 1.3 * r); c.lineTo(-1.3 * r, 0); c.closePath(); },
    (c, r) => { c.rect(-1.3 * r, -r / 2, 2.6 * r, r); c.rect(-r / 2, -1.3 * r, r, 2.6 * r); },
  ];

  function drawShape(context, label, x, y, radius) {
    context.save();
    context.translate(x, y);
    context.beginPath();
    const c = Math.max(0, label); // 50 different marks
    shapes[(c + Math.floor(c / colours.length)) % shapes.length](context, radius);
    context.fillStyle = colours[c % colours.length];
    context.fill();
    context.restore();
  }

  const map = {
    build() {
      chooser("map-k", "map", () => this.show());
      this.canvas = find("map-canvas");
      this.sprite = element("canvas");
      this.sprite.width = 50 * width;
      this.sprite.height = Math.ceil(data.indices.length / 50) * height;
      const context = this.sprite.getContext("2d");
      data.indices.forEach((_, i) => context.putImageData(bytesOf(image(i)), (i % 50) * width, Math.floor(i / 50) * height));
      this.boxes = (data.classes || []).map((name, c) => this.legend(name, c));
      this.picked = frame(find("map-picked"));
      this.decoded = frame(find("map-picked"));
      this.show = soon(() => this.draw());
      this.later = atRest(() => {});
      this.listen();
    },
    legend(name, c) {
      const key = element("canvas", { width: 14, height: 14, "aria-hidden": "true" });
      drawShape(key.getContext("2d"), c, 7, 7, 4.5);
      const box = element("input", { type: "checkbox" });
      box.checked = !state.hidden.includes(c);
      box.addEventListener("change", () => {
        state.hidden = state.hidden.filter((other) => other !== c).concat(box.checked ? [] : [c]);
        this.show();
        write();
      });
      find("map-classes").append(element("label", {}, box, key, name));
      return box;
    },
    listen() {
      const canvas = this.canvas;
      let start = null;
      canvas.addEventListener("pointerdown", (event) => {
        if (!event.isPrimary || event.button) return;
        canvas.setPointerCapture(event.pointerId);
        start = { x: event.clientX, y: event.clientY, far: 0 };
      });
      canvas.addEventListener("pointercancel", () => { start = null; });
      canvas.addEventListener("pointermove", (event) => {
        if (!start || !event.isPrimary || !(event.buttons & 1)) return;
        const scale = 1 / (canvas.clientWidth * state.zoom);
        state.x = Math.min(1, Math.max(-1, state.x - (event.clientX - start.x) * scale));
        state.y = Math.min(1, Math.max(-1, state.y - (event.clientY - start.y) * scale));
        const far = start.far + Math.abs(event.clientX - start.x) + Math.abs(event.clientY - start.y);
        start = { x: event.clientX, y: event.clientY, far };
        this.show();
      });
      canvas.addEventListener("pointerup", (event) => {
        if (!event.isPrimary) return;
        if (start && start.far < 5) this.pickAt(event.offsetX, event.offsetY);
        start = null;
        write();
      });
      canvas.addEventListener("wheel", (event) => {
        if (!event.ctrlKey && document.activeElement !== canvas) return; // a page is scrolled, a map in focus is zoomed
        event.preventDefault();
        this.zoomBy(event.deltaY < 0 ? 1.25 : 0.8, event.offsetX, event.offsetY);
      }, { passive: false });
      canvas.addEventListener("keydown", (event) => this.key(event));
      find("map-in").addEventListener("click", () => this.zoomBy(1.5));
      find("map-out").addEventListener("click", () => this.zoomBy(1 / 1.5));
      find("map-thumbs").addEventListener("change", () => {
        state.thumbs = Number(find("map-thumbs").checked);
        this.show();
        write();
      });
      find("map-walk").addEventListener("click", () => {
        state.at = "walk";
        walk.set(document.querySelector("[name=end]:checked").value, state.pick);
        find("walk").scrollIntoView();
      });
      find("map-dials").addEventListener("click", () => dials.open(state.pick, state.map));
      new ResizeObserver(() => this.show()).observe(canvas);
    },
    /** Zoom; what lies at a place on the canvas stays there, in CSS pixels, the middle if none is given. */
    zoomBy(factor, x, y) {
      const side = this.canvas.clientWidth, before = state.zoom;
      state.zoom = Math.min(40, Math.max(1, before * factor));
      for (const [axis, at] of [["x", x], ["y", y]]) {
        const off = (at === undefined ? 0 : at / side - 0.5) * (1 / before - 1 / state.zoom);
        state[axis] = state.zoom === 1 ? 0 : Math.min(1, Math.max(-1, state[axis] + off));
      }
      this.show();
      this.later();
    },
    /** Where each image lies on the canvas, in CSS pixels; null where its class is hidden. */
    place(i) {
      if (state.hidden.includes(data.labels[i])) return null;
      const { map: at } = netOf(state.map), side = this.canvas.clientWidth;
      const [u, v] = [at[2 * i], at[2 * i + 1]].map((value, axis) => value - (axis ? state.y : state.x));
      return [side * (0.5 + u * state.zoom), side * (0.5 + v * state.zoom)];
    },
    pickAt(x, y) {
      let best = -1, least = 24 ** 2; // CSS pixels: what is meant by a click
      data.indices.forEach((_, i) => {
        const at = this.place(i), apart = at ? (at[0] - x) ** 2 + (at[1] - y) ** 2 : Infinity;
        if (apart < least) [best, least] = [i, apart];
      });
      if (best >= 0) this.pick(best);
    },
    pick(i) {
      state.pick = i;
      this.show();
      write();
    },
    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (event.key === "+" || event.key === "-") this.zoomBy(event.key === "+" ? 1.5 : 1 / 1.5);
      if (!way) return;
      event.preventDefault();
      const from = this.place(state.pick) || [0, 0];
      let best = -1, least = Infinity;
      data.indices.forEach((_, i) => {
        const at = this.place(i);
        if (!at || i === state.pick) return;
        const [dx, dy] = [at[0] - from[0], at[1] - from[1]];
        const ahead = dx * way[0] + dy * way[1], aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
        if (ahead > 0.5 && ahead + 3 * aside < least) [best, least] = [i, ahead + 3 * aside];
      });
      if (best < 0) return;
      const { map: places } = netOf(state.map);
      if (state.zoom > 1) [state.x, state.y] = [places[2 * best], places[2 * best + 1]];
      this.pick(best);
    },
    draw() {
      const net = netOf(state.map), canvas = this.canvas, side = canvas.clientWidth, ratio = devicePixelRatio || 1;
      find("map-k").value = state.map;
      canvas.classList.toggle("zoomed", state.zoom > 1); // a map that is whole lets a finger scroll the page
      canvas.width = canvas.height = Math.round(side * ratio);
      const context = canvas.getContext("2d"), thumbs = state.thumbs === 1;
      find("map-thumbs").checked = thumbs;
      context.scale(ratio, ratio);
      context.imageSmoothingEnabled = false;
      const wide = Math.min(2 * width, Math.max(10, 5 * state.zoom)), high = (wide * height) / width;
      data.indices.forEach((_, i) => {
        const at = this.place(i);
        if (!at || Math.min(...at) < -wide || Math.max(...at) > side + wide) return;
        if (!thumbs) return drawShape(context, data.labels[i], ...at, Math.min(6, 2.5 + state.zoom / 4));
        const [sx, sy] = [(i % 50) * width, Math.floor(i / 50) * height];
        context.drawImage(this.sprite, sx, sy, width, height, at[0] - wide / 2, at[1] - high / 2, wide, high);
      });
      const at = this.place(state.pick);
      if (at) {
        const half = thumbs ? Math.max(wide, high) / 2 + 2 : 9;
        for (const [colour, line] of [["#fff", 5], ["#000", 2]]) { // to be seen on any ground
          context.strokeStyle = colour;
          context.lineWidth = line;
          context.strokeRect(at[0] - half, at[1] - half, 2 * half, 2 * half);
        }
      }
      const x = image(state.pick), x_hat = net.decode(net.encode(x)), words = `error ${short(error(x, x_hat))}`;
      this.picked(x, called(state.pick));
      this.decoded(x_hat, `decoded from ${dims(net)}, ${words}`, `${dims(net)}, ${words}`);
      find("map-said").textContent = `${called(state.pick)}, ${words} with ${dims(net)}`;
    },
  };

  // ---- sizes

  const sizes = {
    build() {
      const mean = data.indices.map((_, i) => nets.reduce((sum, net) => sum + net.errors[i], 0));
      this.order = data.indices.map((_, i) => i).sort((a, b) => mean[a] - mean[b]);
      this.original = frame(find("sizes-pictures"));
      this.draws = nets.map((net) => [net, frame(find("sizes-pictures"))]);
      find("rank").max = data.indices.length - 1;
      const show = soon(() => this.show()), rest = atRest(() => this.rest());
      find("rank").addEventListener("input", () => { state.rank = Number(find("rank").value); show(); rest(); });
    },
    show() {
      const i = this.order[state.rank], x = image(i);
      find("rank").value = state.rank;
      this.original(x, called(i));
      for (const [net, draw] of this.draws) {
        const x_hat = net.decode(net.encode(x)), words = `error ${short(error(x, x_hat))}`;
        draw(x_hat, `${called(i)} with ${dims(net)}, ${words}`, `${dims(net)}, ${words}`);
      }
    },
    rest() {
      const i = this.order[state.rank];
      const said = this.draws.map(([net]) => `${short(net.errors[i])} with ${dims(net)}`);
      const place = `${state.rank + 1} of ${data.indices.length} by error`;
      find("sizes-said").textContent = `${called(i)}, ${place}: error ${said.join(", ")}.`;
    },
  };

  // ---- start

  function showAll() {
    for (const part of [walk, sizes]) { part.show(); part.rest(); }
    dials.renew();
    map.show();
  }

  async function start() {
    images = await unpack(data.images);
    for (const told of data.networks) nets.push(await network(told));
    state.k = state.map = nets[nets.length - 1].latentDim;
    const [first, second = first] = data.shelf;
    [state.from, state.to, state.base, state.pick] = [first, second, first, first];
    state.rank = Math.floor(data.indices.length / 2);
    const linked = read();
    find("explorer-body").hidden = false;
    for (const part of [walk, dials, map, sizes]) part.build();
    showAll();
    if (linked) find(state.at).scrollIntoView();
    for (const kind of ["pointerdown", "keydown", "input"]) {
      find("explorer-body").addEventListener(kind, (event) => {
        state.at = (event.target.closest(".panel") || find(state.at)).id;
      }, true);
    }
    addEventListener("hashchange", () => {
      if (!read()) return write(); // a link of the article: the address goes on holding the view
      map.boxes.forEach((box, c) => { box.checked = !state.hidden.includes(c); });
      showAll();
      find(state.at).scrollIntoView();
    });
    const known = (k) => netOf(k) || (() => { throw new RangeError(`no network of ${k} dimensions in this page`); })();
    Object.assign(window.latentfit, {
      latentDims: nets.map((net) => net.latentDim),
      encode: (k, x) => known(k).encode(Float32Array.from(x)),
      decode: (k, z) => known(k).decode(Float32Array.from(z)),
    });
  }

  window.latentfit = {};
  window.latentfit.ready = start().catch((problem) => {
    find("explorer-wait").textContent = `The explorer does not run in this browser: ${problem.message}`;
    throw problem;
  });
})();
