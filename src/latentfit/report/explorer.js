// The explorer of a latentfit report: the trained networks, run in the page.
//
//   bytes      what the page carries: packed as zlib in base 91, weights as integers
//   networks   image -> code -> image, a plain stack of linear layers, by hand
//   codes      distances, principal directions, the nearest real codes
//   pictures   pixels on canvases, errors, the nearest real image
//   curves     rows of numbers on canvases, over their columns
//   photos     picture files, as a network sees them
//   state      what is shown, written into the URL's fragment, so that a link reproduces a view
//   chooser    the image and the size that all parts show
//   walk, dials, map, sizes     the four parts
//
// Each part has `show`, which draws it from the state, `rest`, which does what takes longer once nothing has changed
// for a moment, and `changed`, which asks for both. Nothing is fetched, nothing is stored, names are only ever text.
// A picture is a Float32Array of H × W (× 3) numbers in [0, 1], a code a Float32Array of K. A choice is the place of a
// test image in the page's data, or a photo. Of rows of numbers a "picture" is a row as the networks see it, its D columns
// that vary in deviations, and is drawn as a curve.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("explorer-data").textContent);
  const [height, width, channels = 1] = data.shape;
  const pixels = data.shape.reduce((product, n) => product * n, 1);
  const rows = data.rows; // of rows of numbers: their columns, scale and axis
  const thing = rows ? "row" : "image";
  const className = (i) => (data.classes ? data.classes[data.labels[i]] : "");
  const called = (i) => `test ${thing} ${data.indices[i]}${data.classes ? `, ${className(i)}` : ""}`;

  // ---- bytes

  /** Bytes of a text: two characters hold 13 bits, a last one 6. The 91 are those from ! to ~ but ", < and \\. */
  function base91(text) {
    const digit = (i) => { const c = text.charCodeAt(i); return c - 33 - (c > 34) - (c > 60) - (c > 92); };
    const bytes = new Uint8Array((13 * (text.length >> 1) + 6 * (text.length & 1)) >> 3);
    let bits = 0, count = 0, at = 0;
    for (let i = 0; i < text.length; i += 2) {
      const two = i + 1 < text.length;
      bits = two ? (bits << 13) | (91 * digit(i) + digit(i + 1)) : (bits << 6) | digit(i);
      for (count += two ? 13 : 6; count >= 8; bits &= (1 << count) - 1) bytes[at++] = bits >> (count -= 8);
    }
    return bytes;
  }

  async function unpack(text) {
    const stream = new Blob([base91(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
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
    const [axes, plane, errors] = await Promise.all([told.axes, told.plane, told.errors].map((text) => floats(text)));
    return {
      ...told, axes, plane, errors, codes: [],
      encode: (x) => run(encoder, x, same),
      decode: (z) => run(decoder, z, outputs[told.output]),
    };
  }

  // ---- codes

  /** The code of a choice; those of test images are kept. */
  function codeOf(net, choice) {
    if (isPhoto(choice)) return net.encode(choice.picture);
    return (net.codes[choice] = net.codes[choice] || net.encode(image(choice)));
  }

  /** Encode all test images, a few at a time so that the page stays quick. */
  async function encodeAll(net) {
    for (let i = 0, start = performance.now(); i < data.indices.length; i++) {
      codeOf(net, i);
      if (performance.now() - start < 12) continue;
      await new Promise((done) => setTimeout(done));
      start = performance.now();
    }
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

  /** How many real codes lie nearer to their mean than this one, in [0, 1], and how it compares with the farthest
   *  (Mahalanobis distance in the directions of the dials). */
  function farOut(net, z) {
    let sum = 0, count = 0;
    for (let i = 0; i < net.low.length; i++) {
      if (net.std[i] > 0) { sum += (along(net, z, i) / net.std[i]) ** 2; count++; }
    }
    const distance = Math.sqrt(sum / Math.max(1, count));
    const beyond = net.far.filter((quantile) => quantile < distance).length;
    return { share: beyond / net.far.length, outside: distance / (net.far[net.far.length - 1] || 1) };
  }

  const apart = (a, b) => Math.sqrt(a.reduce((sum, value, j) => sum + (value - b[j]) ** 2, 0));

  /** Places of the real codes that are nearest to a code, with their distances; the image itself is left out. */
  function neighbours(net, z, itself) {
    const all = net.codes.map((code, i) => [i, apart(code, z)]).filter(([i]) => i !== itself);
    return all.sort((a, b) => a[1] - b[1]).slice(0, 5);
  }

  // ---- pictures

  let images; // bytes of all images, one after the other; of rows their numbers
  const whole = rows ? 1 : 255;
  const image = (i) => Float32Array.from(images.subarray(i * pixels, (i + 1) * pixels), (v) => v / whole);

  function bytesOf(picture) {
    const rgba = new Uint8ClampedArray(height * width * 4).fill(255);
    for (let p = 0; p < height * width; p++) {
      for (let c = 0; c < 3; c++) rgba[4 * p + c] = Math.round(255 * picture[p * channels + (channels === 3 ? c : 0)]);
    }
    return new ImageData(rgba, width, height);
  }

  /** Width and height of a picture, in pixels; of a curve that is so wide, in CSS pixels. */
  const shapeOf = (wide) => (rows ? [wide, wide / 2] : [width, height]);
  const density = rows ? Math.max(2, Math.ceil(devicePixelRatio)) : 1; // curves are sharp also where they are enlarged

  /** Give a canvas room for so many pictures side by side; returns what draws on it. */
  function roomFor(canvas, count, wide) {
    const [w, h] = shapeOf(wide);
    Object.assign(canvas, { width: count * w * density, height: h * density });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.scale(density, density);
    return context;
  }

  /** Draw a picture at a place. `behind`: for a decoded row, those that it is compared with. */
  function draw(context, picture, x, wide, behind) {
    if (rows) curve(context, picture, x, 0, wide, behind);
    else context.putImageData(bytesOf(picture), x, 0);
  }

  function paint(canvas, picture, label, wide = 72, behind) {
    draw(roomFor(canvas, 1, wide), picture, 0, wide, behind);
    const over = ["", " over the original", " over those of both ends"][behind ? behind.length : 0];
    canvas.setAttribute("aria-label", rows && label ? `${label}, as a curve${over}` : label);
  }

  function error(a, b) {
    let sum = 0;
    for (let i = 0; i < pixels; i++) sum += (a[i] - b[i]) ** 2;
    return sum / pixels;
  }

  /** The place of the test image that is nearest to a picture, other than those left out. */
  function nearest(picture, out) {
    let best = 0, least = Infinity;
    for (let i = 0; i < data.indices.length; i++) {
      let sum = out.includes(i) ? Infinity : 0;
      for (let p = 0, at = i * pixels; p < pixels && sum < least; p++) sum += (images[at + p] / whole - picture[p]) ** 2;
      if (sum < least) [best, least] = [i, sum];
    }
    return best;
  }

  const mixed = (a, b, t) => a.map((value, i) => (1 - t) * value + t * b[i]);
  const dims = (net) => `${net.latentDim} dimension${net.latentDim === 1 ? "" : "s"}`;
  const short = (value) => value.toPrecision(3);
  /** The 1 and 99 % quantiles. */
  function middle(values) {
    const sorted = Float64Array.from(values).sort();
    return [0.01, 0.99].map((share) => sorted[Math.round(share * (sorted.length - 1))]);
  }

  const percent = (share) => `${Math.round(100 * share)} %`;

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  /** A picture with words under it: `draw(picture, label, caption, chosen, behind)` fills it. */
  function frame(parent, extra = []) {
    const canvas = element("canvas", { role: "img" }), caption = element("figcaption");
    const axis = rows ? [element("p", { class: "axis" })] : [];
    const figure = element("figure", {}, canvas, ...axis, caption, ...extra);
    parent.append(figure);
    return (picture, label, words = label, chosen = false, behind) => {
      paint(canvas, picture, label, LARGE, behind);
      for (const line of axis) line.replaceChildren(...underCurve(picture, behind));
      caption.textContent = words;
      figure.classList.toggle("chosen", chosen);
    };
  }

  // ---- curves

  const LARGE = 240; // CSS pixels of a curve in a frame
  let ink; // the page's colours
  const readColours = () => {
    const style = getComputedStyle(document.documentElement);
    ink = Object.fromEntries(["paper", "line", "soft", "mark", "warn"].map((name) => [name, style.getPropertyValue(`--${name}`)]));
  };

  /** A number of a row in the data's units, and as it is drawn: in these if all columns share one, else in deviations. */
  const inUnits = (value, j) => value * rows.scale[j] + rows.mean[rows.columns[j]];
  const asDrawn = (value, j) => (rows.common ? inUnits(value, j) : value);
  const signed = (value, digits = 2) => String(Number(value.toPrecision(digits))).replace("-", "\u2212");

  /** A row in the data's units, with all its columns, as the networks see it; and back. */
  function seenRow(row) {
    if (row.length !== rows.mean.length) throw new RangeError(`a row of ${row.length} numbers; expected ${rows.mean.length}`);
    return Float32Array.from(rows.columns, (c, j) => (row[c] - rows.mean[c]) / rows.scale[j]);
  }
  function wholeRow(seen) {
    const row = Float64Array.from(rows.mean); // of a constant column this is its value
    rows.columns.forEach((c, j) => { row[c] = inUnits(seen[j], j); });
    return row;
  }

  /** A row on a ground of its own, on the one scale of all curves: grey if it is real, else blue over grey ones. */
  function curve(context, row, x, y, wide, behind) {
    const high = wide / 2, n = row.length, each = Math.max(1, Math.floor(n / wide / 2)), large = wide >= LARGE;
    const across = (j) => x + 4 + (wide - 8) * (n > 1 ? j / (n - 1) : 0.5);
    const up = (value) => y + (high * (rows.high - value)) / (rows.high - rows.low);
    const line = (colour, thick, points) => {
      Object.assign(context, { strokeStyle: colour, lineWidth: thick * (large ? 1 : 0.75), lineJoin: "round" });
      context.beginPath();
      points.forEach((point) => context.lineTo(...point));
      context.stroke();
    };
    // where many columns share a pixel, the ends of what is there
    const points = (of) => Array.from({ length: Math.ceil(n / each) }, (_, i) => {
      const there = of.subarray(i * each, (i + 1) * each).map((value, j) => asDrawn(value, i * each + j));
      return (each > 1 ? [Math.min(...there), Math.max(...there)] : [there[0]]).map((value) => [across(i * each), up(value)]);
    }).flat();
    context.save();
    context.beginPath();
    context.rect(x, y, wide, high);
    context.clip();
    context.fillStyle = ink.paper;
    context.fillRect(x, y, wide, high);
    context.lineCap = "butt";
    line(ink.line, 2, [[x, y], [x + wide, y], [x + wide, y + high], [x, y + high], [x, y]]);
    line(ink.line, 1, [[x, up(0)], [x + wide, up(0)]]);
    if (large) { // at the top, where most curves leave room
      Object.assign(context, { font: "10px system-ui, sans-serif", fillStyle: ink.soft });
      context.fillText(`${signed(rows.low)} to ${signed(rows.high)}${rows.common ? " in the data's units" : " deviations"}`, x + 5, y + 12);
      if (state.column >= 0) line(ink.warn, 1, [[across(state.column), y], [across(state.column), y + high]]);
    }
    context.globalAlpha = 0.55;
    for (const other of behind || []) line(ink.soft, 2.5, points(other));
    context.globalAlpha = 1;
    const found = points(row), colour = behind ? ink.mark : ink.soft;
    line(colour, behind ? 1.5 : 2, found);
    context.fillStyle = colour;
    if (wide / n > 6) for (const [u, v] of found) context.fillRect(u - 2, v - 2, 4, 4);
    context.restore();
  }

  /** The line under a curve: the ends of its axis, or what it has in the column that is read, in the data's units. */
  function underCurve(row, behind = []) {
    const j = state.column, [here, ...there] = [row, ...behind].map((each) => j >= 0 && signed(inUnits(each[j], j), 4));
    const grey = there.length ? `; grey: ${there.join(" and ")}` : "";
    const words = j < 0 ? [rows.names[0], rows.names[pixels - 1]] : [`${rows.names[j]}: ${here}${grey}`];
    return words.map((text) => element("span", { title: text }, text));
  }

  // ---- photos

  const isPhoto = (choice) => typeof choice !== "number";
  const pictureOf = (choice) => (isPhoto(choice) ? choice.picture : image(choice));
  const nameOf = (choice) => (isPhoto(choice) ? "your image" : called(choice));

  async function photoOf(file) {
    const photo = { bitmap: await createImageBitmap(file), invert: false, zoom: 1, across: 0.5, down: 0.5 };
    return Object.assign(photo, { picture: seen(photo) });
  }

  /** A photo as the network sees it: cropped and scaled, its border's mean where it leaves room, grey if images are. */
  function seen({ bitmap, invert, zoom, across, down }) {
    const context = Object.assign(element("canvas"), { width, height }).getContext("2d", { willReadFrequently: true });
    const read = () => {
      const rgba = context.getImageData(0, 0, width, height).data, picture = new Float32Array(pixels);
      for (let p = 0; p < height * width; p++) {
        const [r, g, b] = rgba.subarray(4 * p, 4 * p + 3);
        if (channels === 3) picture.set([r / 255, g / 255, b / 255], 3 * p);
        else picture[p] = (0.299 * r + 0.587 * g + 0.114 * b) / 255;
      }
      return picture;
    };
    context.imageSmoothingQuality = "high";
    context.fillRect(0, 0, width, height); // below what is transparent
    context.drawImage(bitmap, 0, 0, width, height);
    const border = Math.round(255 * background(read()));
    context.fillStyle = `rgb(${border} ${border} ${border})`;
    context.fillRect(0, 0, width, height);
    const scale = zoom * Math.max(width / bitmap.width, height / bitmap.height);
    const [w, h] = [bitmap.width * scale, bitmap.height * scale];
    context.drawImage(bitmap, (width - w) * across, (height - h) * down, w, h);
    return read().map((value) => (invert ? 1 - value : value));
  }

  const brightness = (picture) => picture.reduce((sum, value) => sum + value, 0) / pixels;

  /** The mean of the outermost pixels. */
  function background(picture) {
    const border = picture.filter((_, p) => {
      const [x, y] = [Math.floor(p / channels) % width, Math.floor(p / channels / width)];
      return x === 0 || y === 0 || x === width - 1 || y === height - 1;
    });
    return border.reduce((sum, value) => sum + value, 0) / border.length;
  }

  /** What is unlike the test images about a picture, in words; nothing if they have the like. */
  function unlike(picture) {
    return Object.entries({ background, brightness }).flatMap(([name, measure]) => {
      const [low, high] = middle(data.indices.map((_, i) => measure(image(i))));
      const value = measure(picture), words = `Its ${name}, ${value.toFixed(2)}, is`;
      if (value > high + 0.02) return [`${words} above that of 99 % of the test images (${high.toFixed(2)}).`];
      if (value < low - 0.02) return [`${words} below that of 99 % of the test images (${low.toFixed(2)}).`];
      return [];
    }).join(" ");
  }

  // ---- state

  const state = { at: "walk", k: 0, from: 0, to: 1, stops: [], t: 0.5, z: null, active: "from" };
  // of the map: what it is zoomed to, around which middle; a point of its plane, if not the image; classes left out
  Object.assign(state, { zoom: 1, x: 0, y: 0, point: null, thumbs: 0, coloured: 0, hidden: [], column: -1 });
  let nets = [];
  const netOf = (k) => nets.find((net) => net.latentDim === k);
  const stations = () => [state.from, ...state.stops, state.to];
  const placesOf = (choices) => choices.filter((choice) => !isPhoto(choice));

  function write() {
    const view = new URLSearchParams();
    for (const key of ["at", "k", "from", "to", "t", "zoom", "x", "y", "thumbs", "coloured", ...(rows ? ["column"] : [])]) {
      if (typeof state[key] !== "object") view.set(key, state[key]); // a link cannot hold a photo
    }
    view.set("stops", placesOf(state.stops).join("."));
    view.set("hidden", state.hidden.join("."));
    for (const key of ["z", "point"]) view.set(key, Array.from(state[key] || [], short).join("_"));
    try {
      history.replaceState(null, "", `#${view}`);
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
    const many = (key, mark) => (given.get(key) || "").split(mark).filter(Boolean).map(Number);
    const place = (value) => Number.isInteger(value) && value >= 0 && value < data.indices.length;
    for (const key of ["from", "to"]) number(key, place);
    number("column", (value) => rows && Number.isInteger(value) && value >= -1 && value < pixels);
    number("k", netOf);
    for (const key of ["t", "thumbs", "coloured"]) number(key, (value) => value >= 0 && value <= 1);
    for (const key of ["x", "y"]) number(key, (value) => Math.abs(value) <= 1);
    number("zoom", (value) => value >= 1 && value <= 40);
    if (["walk", "dials", "map", "sizes"].includes(given.get("at"))) state.at = given.get("at");
    const z = many("z", "_"), point = many("point", "_");
    state.z = z.length === state.k && z.every(Number.isFinite) ? Float32Array.from(z) : null;
    state.point = point.length === 2 && point.every((value) => Math.abs(value) <= 2) ? point : null;
    state.stops = many("stops", ".").filter(place);
    const hidden = many("hidden", ".");
    state.hidden = (data.classes || []).map((_, c) => c).filter((c) => hidden.includes(c));
    return true;
  }

  /** Give a part `changed`: it draws at the next frame, once however often it is asked, and rests a moment later. */
  function enliven(part) {
    let asked = false, timer;
    part.changed = () => {
      clearTimeout(timer);
      timer = setTimeout(() => { part.rest(); write(); }, 150);
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => { asked = false; part.show(); });
    };
  }

  function showAll() {
    for (const part of [chooser, walk, dials, map, sizes]) part.changed();
  }

  // ---- chooser

  const chooser = {
    shelf: [], // places of images with their buttons
    build() {
      for (const i of data.shelf) {
        const button = this.thumbnail(i, called(i));
        button.addEventListener("click", () => this.choose(i));
        find("shelf").append(button);
        this.shelf.push([i, button]);
      }
      for (const net of nets) find("size").append(element("option", { value: net.latentDim }, dims(net)));
      find("size").addEventListener("change", () => {
        Object.assign(state, { k: Number(find("size").value), z: null, point: null });
        showAll();
      });
      for (const slot of ["from", "to", "stop"]) {
        find(`slot-${slot}`).addEventListener("change", () => { state.active = slot; this.changed(); });
      }
      if (rows) return this.readColumns();
      find("drop-file").addEventListener("change", (event) => this.take(event.target.files[0]));
      for (const kind of ["dragover", "drop"]) find("explorer-body").addEventListener(kind, (event) => event.preventDefault());
      find("explorer-body").addEventListener("drop", (event) => this.take(event.dataTransfer.files[0]));
      for (const key of ["invert", "zoom", "across", "down"]) {
        find(`photo-${key}`).addEventListener("input", ({ target }) => this.adjust(key, key === "invert" ? target.checked : Number(target.value)));
      }
    },
    /** A column is read off with its slider, or by pointing at a curve; the page's colours may change. */
    readColumns() {
      const take = (j) => {
        if (j === state.column) return;
        state.column = j;
        showAll();
      };
      find("column").max = pixels - 1;
      find("column").addEventListener("input", () => take(Number(find("column").value)));
      find("explorer-body").addEventListener("pointermove", ({ target, offsetX, pointerType }) => {
        if (pointerType !== "mouse" || !target.matches(".pictures figure > canvas:first-child")) return;
        const share = ((offsetX / target.clientWidth) * LARGE - 4) / (LARGE - 8);
        take(Math.round(Math.min(1, Math.max(0, share)) * (pixels - 1)));
      });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
        readColours();
        for (const [i, button] of this.shelf) paint(button.firstChild, image(i), "");
        showAll();
      });
    },
    thumbnail(choice, label) {
      const canvas = element("canvas", { "aria-hidden": "true" });
      paint(canvas, pictureOf(choice), "");
      return element("button", { type: "button", "aria-label": label }, canvas);
    },
    /** What the active slot holds. */
    active() {
      return state.active === "stop" ? state.stops[state.stops.length - 1] : state[state.active];
    },
    choose(choice) {
      if (state.active === "stop") state.stops.push(choice);
      else state[state.active] = choice;
      if (state.active === "from") state.z = state.point = null;
      showAll();
    },
    async take(file) {
      if (!file) return;
      const turn = (this.turn = (this.turn || 0) + 1);
      find("own").open = true;
      try {
        const photo = await photoOf(file);
        if (turn === this.turn) this.choose(photo); // none was dropped meanwhile
      } catch {
        find("photo-said").textContent = `${file.name} is no picture that this browser can read.`;
      }
    },
    adjust(key, value) {
      const photo = this.active();
      photo[key] = value;
      photo.picture = seen(photo);
      if (state.active === "from") state.z = state.point = null;
      showAll();
    },
    show() {
      find("size").value = state.k;
      for (const slot of ["from", "to"]) paint(find(`${slot}-picture`), pictureOf(state[slot]), nameOf(state[slot]));
      for (const slot of ["from", "to", "stop"]) find(`slot-${slot}`).checked = slot === state.active;
      const places = placesOf(stations());
      for (const [i, button] of this.shelf) button.setAttribute("aria-pressed", places.includes(i));
      find("stops").replaceChildren(...state.stops.map((choice, n) => {
        const button = this.thumbnail(choice, `remove stop ${n + 1}: ${nameOf(choice)}`);
        button.addEventListener("click", () => { state.stops.splice(n, 1); showAll(); find("slot-stop").focus(); });
        return button;
      }));
      if (rows) {
        find("column").value = state.column;
        find("column").setAttribute("aria-valuetext", state.column < 0 ? "none" : rows.names[state.column]);
        return;
      }
      const photo = this.active(), own = photo !== undefined && isPhoto(photo);
      find("photo").hidden = !own;
      if (!own) return;
      const { bitmap } = photo, ratios = [width / bitmap.width, height / bitmap.height];
      find("photo-zoom").min = Math.min(...ratios) / Math.max(...ratios); // all of it
      find("photo-invert").checked = photo.invert;
      for (const key of ["zoom", "across", "down"]) find(`photo-${key}`).value = photo[key];
    },
    rest() {
      if (rows) return;
      const photo = this.active();
      const warning = photo !== undefined && isPhoto(photo) ? unlike(photo.picture) : "";
      const helps = warning && !unlike(photo.picture.map((value) => 1 - value));
      find("photo-said").textContent = warning + (helps ? " Inverted, it is like them." : "");
    },
  };

  // ---- walk

  const walk = {
    build() {
      this.fade = frame(find("steps"));
      this.steps = nets.map((net) => {
        const near = element("canvas", { role: "img", class: "near" }), words = element("p", { class: "near" });
        return { net, near, words, draw: frame(find("steps"), [near, words]) };
      });
      find("walk-t").addEventListener("input", () => { state.t = Number(find("walk-t").value); this.changed(); });
      find("walk-play").addEventListener("click", () => this.play());
      find("walk-save").addEventListener("click", () => this.save());
    },
    /** The choices that a position lies between, and how far it is from the first to the second. */
    between(t) {
      const all = stations(), legs = all.length - 1, leg = Math.min(legs - 1, Math.floor(t * legs));
      return [all[leg], all[leg + 1], t * legs - leg];
    },
    decoded(net, t) {
      const [a, b, share] = this.between(t);
      return net.decode(mixed(codeOf(net, a), codeOf(net, b), share));
    },
    show() {
      const [a, b, share] = this.between(state.t), at = percent(state.t);
      find("walk-t").value = state.t;
      find("walk-play").textContent = this.playing ? "Stop" : "Play";
      const ends = [pictureOf(a), pictureOf(b)], faded = rows ? "rows" : "pixels";
      this.fade(mixed(...ends, share), `cross-fade of the ${faded} at ${at}`, rows ? "cross-fade of the rows" : "pixel cross-fade");
      for (const step of this.steps) {
        step.picture = this.decoded(step.net, state.t);
        step.draw(step.picture, `${dims(step.net)} at ${at}`, dims(step.net), step.net.latentDim === state.k, ends);
      }
    },
    rest() {
      if (this.playing) return;
      const said = this.steps.map((step) => {
        const i = nearest(step.picture, placesOf(stations())), off = short(error(step.picture, image(i)));
        paint(step.near, image(i), `nearest test ${thing}: ${called(i)}`, 120);
        step.words.textContent = `nearest: ${className(i) || called(i)}, mean squared difference ${off}`;
        return `${dims(step.net)}: nearest is ${called(i)}, mean squared difference ${off}`;
      });
      const through = state.stops.length ? ` through ${state.stops.map(nameOf).join("; ")}` : "";
      const path = `from ${nameOf(state.from)}${through} to ${nameOf(state.to)}`;
      find("walk-said").textContent = `At ${percent(state.t)} ${path}. ${said.join(". ")}.`;
    },
    /** The path as a film, two seconds from image to image. */
    play() {
      this.playing = !this.playing;
      if (state.t >= 1) state.t = 0;
      let last = performance.now();
      const step = (now) => {
        if (!this.playing) return this.changed();
        const passed = Math.max(0, now - last); // a frame's time may lie before the click's
        state.t = Math.min(1, state.t + passed / 2000 / (stations().length - 1));
        last = now;
        this.playing = state.t < 1;
        this.changed();
        if (this.playing) requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    },
    /** The path as a picture file: five images from one to the next, with the size that is chosen. */
    save() {
      const count = 4 * (stations().length - 1) + 1, tile = element("canvas"), strip = element("canvas");
      for (let s = 0; s < count; s++) {
        paint(tile, this.decoded(netOf(state.k), s / (count - 1)), "", 160, []);
        const scale = Math.max(1, Math.round(112 / tile.width)), [w, h] = [tile.width * scale, tile.height * scale];
        if (!s) Object.assign(strip, { width: count * w, height: h });
        const context = Object.assign(strip.getContext("2d"), { imageSmoothingEnabled: false });
        context.drawImage(tile, s * w, 0, w, h);
      }
      strip.toBlob((blob) => {
        const url = URL.createObjectURL(blob);
        element("a", { href: url, download: `interpolation-${state.k}.png` }).click();
        setTimeout(() => URL.revokeObjectURL(url), 1000);
      });
    },
  };

  // ---- dials

  const dials = {
    build() {
      this.start = frame(find("dials-pictures"));
      this.now = frame(find("dials-pictures"));
      find("dials-reset").addEventListener("click", () => this.turn(null));
      find("raw").addEventListener("toggle", () => this.changed());
    },
    /** Sliders for the size that is chosen. */
    renew() {
      const net = netOf(state.k);
      find("dial-list").replaceChildren();
      find("raw-list").replaceChildren();
      this.k = state.k;
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
    },
    slider(name, low, high, parent, extra = []) {
      const made = element("input", { type: "range", min: low, max: high, step: "any" });
      parent.append(element("div", { class: "dial" }, element("label", {}, element("span", {}, name), made), ...extra));
      return made;
    },
    code() {
      return state.z || codeOf(netOf(state.k), state.from);
    },
    turn(z) {
      if (this.k !== state.k) return; // a slider of the size before, which goes with the next frame
      state.z = z;
      this.changed();
    },
    show() {
      if (this.k !== state.k) this.renew();
      const net = netOf(state.k), z = this.code(), x = pictureOf(state.from), x_hat = net.decode(z);
      this.start(x, nameOf(state.from));
      // an error belongs to a reconstruction: once a dial is turned, the picture is of another code
      this.words = state.z ? "after turning" : `error ${short(error(x, x_hat))}`;
      this.now(x_hat, `decoded from ${dims(net)}, ${this.words}`, `${dims(net)}, ${this.words}`, false, [x]);
      this.sliders.forEach(({ slider }, i) => { slider.value = along(net, z, i); });
      if (find("raw").open) this.raw.forEach((slider, j) => { slider.value = z[j]; });
      const { share, outside } = farOut(net, z);
      find("far").value = share; // red from 99 % on
      find("far-said").textContent = outside > 1
        ? `${short(outside)} times as far as the farthest real code`
        : `farther than ${percent(share)} of real codes`;
    },
    rest() {
      const net = netOf(state.k), z = this.code();
      this.sliders.forEach(({ strip }, i) => {
        const here = along(net, z, i), [wide] = shapeOf(72), context = roomFor(strip, 5, wide);
        for (let s = 0; s < 5; s++) {
          const at = net.low[i] + ((net.high[i] - net.low[i]) * s) / 4;
          draw(context, net.decode(moved(net, z, i, at - here)), s * wide, wide, []);
        }
      });
      find("dials-said").textContent =
        `${nameOf(state.from)} with ${dims(net)}, ${this.words}: ${find("far-said").textContent}, in the directions of the dials.`;
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
  const [TILE, TALL] = rows ? [72, 36] : [40, 40]; // CSS pixels of an image on the map

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

  /** From blue to orange, seen on light and dark. */
  const heat = (share) => `rgb(${[[40, 125, 215], [235, 100, 20]].reduce((a, b) => a.map((v, i) => Math.round(v + share * (b[i] - v)))).join(" ")})`;

  const map = {
    selected: new Set(),
    hover: null, // where the pointer is on the plane
    outline: null, // the lasso while it is drawn, in CSS pixels
    build() {
      this.canvas = find("map-canvas");
      if (!rows) this.keepAll();
      this.boxes = (data.classes || []).map((name, c) => this.legend(name, c));
      this.decoded = frame(find("map-here"));
      this.listen();
    },
    /** All images on one canvas, from which the map takes them; a curve is drawn where it is wanted. */
    keepAll() {
      this.sprite = Object.assign(element("canvas"), { width: 50 * width, height: Math.ceil(data.indices.length / 50) * height });
      const context = this.sprite.getContext("2d");
      data.indices.forEach((_, i) => context.putImageData(bytesOf(image(i)), (i % 50) * width, Math.floor(i / 50) * height));
    },
    legend(name, c) {
      const key = element("canvas", { width: 14, height: 14, "aria-hidden": "true" });
      drawShape(key.getContext("2d"), c, 7, 7, 4.5);
      const box = element("input", { type: "checkbox" });
      box.addEventListener("change", () => {
        state.hidden = state.hidden.filter((other) => other !== c).concat(box.checked ? [] : [c]);
        this.changed();
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
        if (this.lassoing) this.outline = [[event.offsetX, event.offsetY]];
      });
      canvas.addEventListener("pointercancel", () => { start = this.outline = null; });
      canvas.addEventListener("pointermove", (event) => {
        if (!event.isPrimary) return;
        if (start && this.outline) this.outline.push([event.offsetX, event.offsetY]);
        else if (start && event.buttons & 1) {
          const scale = 1 / (canvas.clientWidth * state.zoom);
          state.x = Math.min(1, Math.max(-1, state.x - (event.clientX - start.x) * scale));
          state.y = Math.min(1, Math.max(-1, state.y - (event.clientY - start.y) * scale));
          const far = start.far + Math.abs(event.clientX - start.x) + Math.abs(event.clientY - start.y);
          start = { x: event.clientX, y: event.clientY, far };
        }
        this.hover = event.pointerType === "mouse" ? this.plane(event.offsetX, event.offsetY) : null;
        this.changed();
      });
      canvas.addEventListener("pointerleave", () => { this.hover = null; this.changed(); });
      canvas.addEventListener("pointerup", (event) => {
        if (!event.isPrimary || !start) return;
        if (this.outline) this.select();
        else if (start.far < 5) this.click(event);
        start = null;
      });
      canvas.addEventListener("wheel", (event) => {
        if (!event.ctrlKey) return; // the page is scrolled
        event.preventDefault();
        this.zoomBy(event.deltaY < 0 ? 1.25 : 0.8, event.offsetX, event.offsetY);
      }, { passive: false });
      canvas.addEventListener("keydown", (event) => this.key(event));
      find("map-in").addEventListener("click", () => this.zoomBy(1.5));
      find("map-out").addEventListener("click", () => this.zoomBy(1 / 1.5));
      find("map-thumbs").addEventListener("change", ({ target }) => { state.thumbs = Number(target.checked); this.changed(); });
      find("map-colour").addEventListener("change", ({ target }) => { state.coloured = Number(target.value); this.changed(); });
      find("map-lasso").addEventListener("click", () => { this.lassoing = !this.lassoing; this.changed(); });
      find("map-clear").addEventListener("click", () => { this.selected.clear(); this.changed(); canvas.focus(); });
      find("map-copy").addEventListener("click", () => {
        find("map-indices").select();
        find("map-copied").textContent = document.execCommand("copy") ? "Copied." : "Selected: copy them.";
      });
      find("map-dials").addEventListener("click", () => {
        dials.turn(this.here().z);
        state.at = "dials";
        find("dials").scrollIntoView();
      });
      new ResizeObserver(() => this.changed()).observe(canvas);
    },
    click({ offsetX, offsetY, pointerType }) {
      const at = this.plane(offsetX, offsetY), i = this.closest(at, this.reach(pointerType));
      state.point = i < 0 ? at : this.spot(i);
      if (i >= 0) chooser.choose(i);
      else this.changed();
    },
    /** Zoom; what lies at a place on the canvas stays there, in CSS pixels, the middle if none is given. */
    zoomBy(factor, x, y) {
      const side = this.canvas.clientWidth, before = state.zoom;
      state.zoom = Math.min(40, Math.max(1, before * factor));
      for (const [axis, at] of [["x", x], ["y", y]]) {
        const off = (at === undefined ? 0 : at / side - 0.5) * (1 / before - 1 / state.zoom);
        state[axis] = state.zoom === 1 ? 0 : Math.min(1, Math.max(-1, state[axis] + off));
      }
      this.changed();
    },
    /** Where a code lies on the plane. */
    spotOf(net, z) {
      return [0, 1].map((axis) => (axis < net.latentDim ? along(net, z, axis) / net.reach : 0));
    },
    spot(i) {
      return Array.from(netOf(state.k).plane.subarray(2 * i, 2 * i + 2));
    },
    /** From the plane to the canvas, in CSS pixels, and back. */
    onCanvas([u, v]) {
      const side = this.canvas.clientWidth;
      return [side * (0.5 + (u - state.x) * state.zoom), side * (0.5 + (v - state.y) * state.zoom)];
    },
    plane(x, y) {
      const side = this.canvas.clientWidth;
      return [state.x + (x / side - 0.5) / state.zoom, state.y + (y / side - 0.5) / state.zoom];
    },
    visible(i) {
      return !state.hidden.includes(data.labels[i]);
    },
    /** How near to an image a pointer means it, in CSS pixels. */
    reach(type) {
      if (state.thumbs) return TILE / 2;
      return type === "touch" ? 16 : 7;
    },
    /** The place of the drawn image that is nearest to a point, at most so many CSS pixels away; -1 if there is none. */
    closest(point, reach = Infinity) {
      const [x, y] = this.onCanvas(point);
      let best = -1, least = reach ** 2;
      data.indices.forEach((_, i) => {
        if (!this.visible(i) || (state.thumbs && this.tiles && !this.tiles.has(i))) return;
        const at = this.onCanvas(this.spot(i)), apart = (at[0] - x) ** 2 + (at[1] - y) ** 2;
        if (apart < least) [best, least] = [i, apart];
      });
      return best;
    },
    /** A point, or else the image: its code, and what lies there or fills the other directions. */
    here(point = state.point) {
      const net = netOf(state.k);
      if (!point) {
        const z = codeOf(net, state.from);
        return { point: this.spotOf(net, z), z, choice: state.from };
      }
      const i = this.closest(point, point === this.hover ? this.reach() : 0.5);
      if (i >= 0) return { point: this.spot(i), z: codeOf(net, i), choice: i };
      const near = this.closest(point);
      if (near < 0) return { point, z: Float32Array.from(net.mean), filled: "the mean of all codes" };
      const from = this.spot(near), axes = Math.min(2, net.latentDim);
      let z = codeOf(net, near);
      for (let axis = 0; axis < axes; axis++) z = moved(net, z, axis, (point[axis] - from[axis]) * net.reach);
      return { point, z, filled: called(near) };
    },
    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      const { point, choice } = this.here(), real = choice !== undefined && !isPhoto(choice);
      if (event.key === "+" || event.key === "-") this.zoomBy(event.key === "+" ? 1.5 : 1 / 1.5);
      if (event.key === "Enter" && real) chooser.choose(choice);
      if (event.key === " " && real) this.selected[this.selected.has(choice) ? "delete" : "add"](choice);
      if (event.key === " ") { event.preventDefault(); this.changed(); }
      if (!way) return;
      event.preventDefault();
      this.hover = null;
      if (event.shiftKey) state.point = point.map((value, axis) => Math.min(1, Math.max(-1, value + (0.02 * way[axis]) / state.zoom)));
      else state.point = this.next(point, way) || state.point;
      if (state.zoom > 1 && state.point) [state.x, state.y] = state.point;
      this.changed();
    },
    /** Where the next visible image lies in a direction. */
    next(point, way) {
      const from = this.onCanvas(point);
      let best = null, least = Infinity;
      data.indices.forEach((_, i) => {
        if (!this.visible(i)) return;
        const at = this.onCanvas(this.spot(i)), [dx, dy] = [at[0] - from[0], at[1] - from[1]];
        const ahead = dx * way[0] + dy * way[1], aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
        if (ahead > 0.5 && ahead + 3 * aside < least) [best, least] = [this.spot(i), ahead + 3 * aside];
      });
      return best;
    },
    /** Select the visible images that the lasso encloses. */
    select() {
      const path = new Path2D(), context = this.canvas.getContext("2d");
      this.outline.forEach(([x, y]) => path.lineTo(x, y));
      context.resetTransform();
      const inside = data.indices.map((_, i) => i).filter((i) => this.visible(i) && context.isPointInPath(path, ...this.onCanvas(this.spot(i))));
      this.selected = new Set(inside);
      this.outline = null;
      this.changed();
    },
    show() {
      const canvas = this.canvas, side = canvas.clientWidth, ratio = devicePixelRatio || 1;
      canvas.classList.toggle("held", state.zoom > 1 || Boolean(this.lassoing)); // else a finger scrolls the page
      canvas.width = canvas.height = Math.round(side * ratio);
      const context = canvas.getContext("2d");
      context.scale(ratio, ratio);
      context.imageSmoothingEnabled = false;
      this.boxes.forEach((box, c) => { box.checked = !state.hidden.includes(c); });
      find("map-thumbs").checked = state.thumbs === 1;
      find("map-colour").value = state.coloured;
      find("map-lasso").setAttribute("aria-pressed", Boolean(this.lassoing));
      const here = this.here(this.hover || state.point);
      if (state.thumbs) this.drawTiles(context, side);
      else this.drawMarks(context, side);
      this.drawAxes(context, side);
      this.drawCursor(context, here);
      const x_hat = netOf(state.k).decode(here.z), words = this.describe(here, x_hat);
      const real = here.choice === undefined ? [] : [pictureOf(here.choice)];
      this.decoded(x_hat, `decoded from ${dims(netOf(state.k))}: ${words}`, `decoded: ${words}`, false, real);
    },
    drawMarks(context, side) {
      const net = netOf(state.k), [low, high] = middle(net.errors);
      const radius = Math.min(6, 2.5 + state.zoom / 4);
      find("map-scale").hidden = state.coloured !== 1;
      find("map-low").textContent = short(low);
      find("map-high").textContent = short(high);
      data.indices.forEach((_, i) => {
        const [x, y] = this.onCanvas(this.spot(i));
        if (!this.visible(i) || Math.min(x, y) < -9 || Math.max(x, y) > side + 9) return;
        context.globalAlpha = this.selected.size && !this.selected.has(i) ? 0.2 : 1;
        if (!state.coloured) return drawShape(context, data.labels[i], x, y, radius);
        const share = Math.min(1, Math.max(0, (net.errors[i] - low) / (high - low || 1)));
        context.fillStyle = heat(share);
        context.beginPath();
        context.arc(x, y, radius * (0.7 + 0.8 * share), 0, 7);
        context.fill();
      });
      context.globalAlpha = 1;
    },
    /** Images large enough to be recognised, as many as do not cover one another; zooming shows more. */
    drawTiles(context, side) {
      const drawn = [];
      this.tiles = new Set();
      find("map-scale").hidden = true;
      data.indices.forEach((_, i) => {
        const [x, y] = this.onCanvas(this.spot(i)), half = TILE / 2;
        if (!this.visible(i) || Math.min(x, y) < half || Math.max(x, y) > side - half) return;
        if (drawn.some(([u, v]) => Math.abs(u - x) < TILE && Math.abs(v - y) < TALL)) return;
        drawn.push([x, y]);
        this.tiles.add(i);
        this.drawTile(context, i, x, y, TILE);
      });
    },
    drawTile(context, i, x, y, wide) {
      if (rows) return curve(context, image(i), x - wide / 2, y - wide / 4, wide);
      const high = (wide * height) / width, [sx, sy] = [(i % 50) * width, Math.floor(i / 50) * height];
      context.drawImage(this.sprite, sx, sy, width, height, x - wide / 2, y - high / 2, wide, high);
    },
    /** What share of the variance of the codes each direction of the plane has. */
    drawAxes(context, side) {
      const net = netOf(state.k), all = net.std.reduce((sum, std) => sum + std ** 2, 0);
      const words = [0, 1].map((axis) => `direction ${axis + 1}: ${percent(axis < net.latentDim && all ? net.std[axis] ** 2 / all : 0)} of the variance`);
      this.canvas.setAttribute("aria-label", `Map of the codes of ${dims(net)}; across ${words[0]} of the codes, down ${words[1]}. Arrow keys go from ${thing} to ${thing}, with Shift anywhere; Enter takes ${rows ? "a row" : "an image"}, Space selects it; plus and minus zoom`);
      context.font = "12px system-ui, sans-serif";
      context.fillStyle = getComputedStyle(this.canvas).color;
      context.textAlign = "center";
      context.fillText(words[0], side / 2, side - 7);
      context.rotate(-Math.PI / 2);
      context.fillText(words[1], -side / 2, 15);
      context.rotate(Math.PI / 2);
    },
    /** The image in a square, the point in a cross, the image under the pointer beside it. */
    drawCursor(context, { point, choice }) {
      const mark = (draw) => {
        for (const [colour, line] of [["#fff", 5], ["#000", 2]]) { // to be seen on any ground
          context.strokeStyle = colour;
          context.lineWidth = line;
          context.beginPath();
          draw();
          context.stroke();
        }
      };
      const [x, y] = this.onCanvas(this.spotOf(netOf(state.k), codeOf(netOf(state.k), state.from))), [u, v] = this.onCanvas(point);
      mark(() => context.rect(x - 9, y - 9, 18, 18));
      if (state.point || this.hover) mark(() => { context.moveTo(u - 9, v); context.lineTo(u + 9, v); context.moveTo(u, v - 9); context.lineTo(u, v + 9); });
      if (this.hover && choice !== undefined && !isPhoto(choice)) {
        const side = this.canvas.clientWidth, wide = rows ? 144 : Math.max(56, width);
        this.drawTile(context, choice, u + (u > side / 2 ? -1 : 1) * (wide / 2 + 12), Math.min(side - wide / 2, Math.max(wide / 2, v)), wide);
      }
      if (this.outline) mark(() => this.outline.forEach(([a, b]) => context.lineTo(a, b)));
    },
    describe({ choice, filled }, x_hat) {
      if (choice === undefined) return `a point with no ${thing}; other directions as in ${filled}`;
      return `${nameOf(choice)}, error ${short(error(pictureOf(choice), x_hat))}`;
    },
    rest() {
      const net = netOf(state.k), here = this.here(), said = `${this.describe(here, net.decode(here.z))}, with ${dims(net)}`;
      if (find("map-said").textContent !== said) find("map-said").textContent = said;
      const indices = [...this.selected].map((i) => data.indices[i]).sort((a, b) => a - b).join(", ");
      find("map-selection").hidden = !this.selected.size;
      find("map-count").textContent = `${this.selected.size} selected`;
      if (find("map-indices").value !== indices) {
        find("map-indices").value = indices;
        find("map-copied").textContent = "";
      }
      if (!net.ready) {
        net.ready = encodeAll(net).then(() => { net.ready = true; this.changed(); });
      }
      if (net.ready !== true) return;
      find("map-near").replaceChildren(...neighbours(net, here.z, here.choice).map(([i, distance]) => {
        const button = chooser.thumbnail(i, `${called(i)}, at a distance of ${short(distance)}`);
        button.addEventListener("click", () => chooser.choose(i));
        return element("li", {}, button, element("span", {}, short(distance)));
      }));
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
      find("rank").addEventListener("input", () => {
        Object.assign(state, { from: this.order[Number(find("rank").value)], z: null, point: null });
        showAll();
      });
    },
    show() {
      const x = pictureOf(state.from), name = nameOf(state.from);
      if (!isPhoto(state.from)) find("rank").value = this.order.indexOf(state.from);
      this.original(x, name);
      this.errors = this.draws.map(([net, draw]) => {
        const x_hat = net.decode(codeOf(net, state.from)), off = short(error(x, x_hat)), words = `error ${off}`;
        draw(x_hat, `${name} with ${dims(net)}, ${words}`, `${dims(net)}, ${words}`, net.latentDim === state.k, [x]);
        return `${off} with ${dims(net)}`;
      });
    },
    rest() {
      const place = isPhoto(state.from) ? "" : `, ${this.order.indexOf(state.from) + 1} of ${data.indices.length} by error`;
      find("sizes-said").textContent = `${nameOf(state.from)}${place}: error ${this.errors.join(", ")}.`;
    },
  };

  // ---- start

  async function start() {
    if (rows) readColours();
    images = await (rows ? floats : unpack)(data.images);
    for (const told of data.networks) nets.push(await network(told));
    state.k = data.first;
    [state.from, state.to = state.from] = data.shelf;
    const linked = read();
    find("explorer-body").hidden = false;
    for (const part of [chooser, walk, dials, map, sizes]) { enliven(part); part.build(); part.show(); part.rest(); }
    if (linked) find(state.at).scrollIntoView();
    for (const kind of ["pointerdown", "keydown", "input"]) {
      find("explorer-body").addEventListener(kind, (event) => {
        const panel = event.target.closest("#walk, #dials, #map, #sizes");
        if (panel) state.at = panel.id;
      }, true);
    }
    addEventListener("hashchange", () => {
      if (!read()) return write(); // a link of the article: the address goes on holding the view
      showAll();
      find(state.at).scrollIntoView();
    });
    const known = (k) => netOf(k) || (() => { throw new RangeError(`no network of ${k} dimensions in this page`); })();
    Object.assign(window.latentfit, {
      latentDims: nets.map((net) => net.latentDim),
      encode: (k, x) => known(k).encode(rows ? seenRow(x) : Float32Array.from(x)),
      decode: (k, z) => (rows ? wholeRow : (x) => x)(known(k).decode(Float32Array.from(z))),
    });
  }

  window.latentfit = {};
  window.latentfit.ready = start().catch((problem) => {
    find("explorer-wait").textContent = `The explorer does not run in this browser: ${problem.message}`;
    throw problem;
  });
})();
