// Two views of one sky, input and denoised, that move together. All that is fetched lies beside this file.
import A from "./aladin.js";

const at = (id) => document.getElementById(id);
const sky = await (await fetch("sky.json")).json();
const WIDTH = 512; // of a tile
const MOST_ROWS = 300; // of the list of bricks
const SIDES = ["input", "denoised"];
const COLOURS = { input: "#ffb347", denoised: "#5fd3ff" };

// A viewer asks for tiles that are not there; it learns so without asking the server.
const isThere = (order, tile) => {
  const part = 4 ** (sky.order - order), first = tile * part, last = first + part - 1;
  let [low, high] = [0, sky.tiles.length]; // of the rows of tiles, the first that ends at `first` or later
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sky.tiles[middle][1] < first) low = middle + 1;
    else high = middle;
  }
  return low < sky.tiles.length && sky.tiles[low][0] <= last;
};
const fetched = window.fetch;
window.fetch = (request, ...rest) => {
  const address = String(request.url ?? request), tile = address.match(/Norder(\d+)\/Dir\d+\/Npix(\d+)\./);
  const absent = tile ? !isThere(+tile[1], +tile[2]) : /Allsky\.fits$/.test(address);
  return absent ? Promise.resolve(new Response(null, { status: 404 })) : fetched(request, ...rest);
};

// ---- views

await A.init;
const survey = (name, format) =>
  A.imageHiPS(new URL(name, location.href).href, { name, imgFormat: format, maxOrder: sky.order, cooFrame: "ICRS" });
const first = sky.bricks[sky.bricks.length >> 1];
const bare = Object.fromEntries(
  ["ZoomControl", "LayersControl", "FullscreenControl", "CooLocation", "ProjectionControl", "Frame", "Fov", "StatusBar"]
    .map((name) => [`show${name}`, false]));
const views = {};
for (const side of SIDES) {
  views[side] = A.aladin(`#${side}`, {
    ...bare, survey: survey(side, "png"), target: `${first.ra} ${first.dec}`, fov: 4 * first.size, projection: "TAN",
    cooFrame: "ICRSd", hipsList: [], log: false, showReticle: false, backgroundColor: "rgb(22, 24, 29)",
  });
}

let leader = null; // the view that the user moves; the other one follows
for (const [side, other] of [SIDES, [...SIDES].reverse()]) {
  for (const event of ["pointerdown", "wheel", "touchstart", "keydown"]) {
    at(side).addEventListener(event, () => { leader = side; }, { capture: true, passive: true });
  }
  const follow = () => {
    if (leader !== side) return;
    const [ra, dec] = views[side].getRaDec();
    views[other].setFoV(views[side].getFov()[0]);
    views[other].gotoRaDec(ra, dec);
    showFound();
  };
  views[side].on("positionChanged", follow);
  views[side].on("zoomChanged", follow);
}

function go(ra, dec, fov) {
  leader = null;
  for (const side of SIDES) {
    views[side].setFoV(fov);
    views[side].gotoRaDec(ra, dec);
  }
  showFound();
}

// ---- divider

let share = 0.5; // of the width that shows the input
function divide(to = share) {
  share = Math.min(0.98, Math.max(0.02, to));
  const aside = at("aside").checked, place = `${100 * (aside ? 0.5 : share)}%`;
  at("views").classList.toggle("aside", aside);
  at("denoised").style.clipPath = aside ? "" : `inset(0 0 0 ${place})`;
  at("divider").style.left = place;
  at("divider").ariaValueNow = Math.round(100 * share);
  for (const name of document.querySelectorAll(".name")) name.style.left = place;
}
at("divider").addEventListener("pointerdown", (event) => event.target.setPointerCapture(event.pointerId));
at("divider").addEventListener("pointermove", (event) => {
  const frame = at("views").getBoundingClientRect();
  if (event.buttons) divide((event.clientX - frame.left) / frame.width);
});
at("divider").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
  if (step) divide(share + step);
});
at("aside").addEventListener("change", () => divide());
divide();

// ---- what is shown

at("layer").append(new Option("colour", ""), ...sky.values.map((band) => new Option(band, band)));
function layers() {
  const band = at("layer").value;
  for (const side of SIDES) {
    views[side].setBaseImageLayer(band ? survey(`${side}-${band}`, "fits") : survey(side, "png"));
    overlay(side, "sigma", at("sigma").checked, () => {
      const layer = survey(`sigma-${band || sky.values[sky.values.length >> 1]}`, "fits");
      layer.setColormap("magma");
      layer.setOpacity(0.6);
      return layer;
    });
    overlay(side, "flags", at("flags").checked, () => {
      const layer = survey("flags", "png");
      layer.setOpacity(0.5);
      return layer;
    });
  }
  at("marks").hidden = !at("flags").checked;
}
const shown = new Set();
function overlay(side, name, wanted, make) {
  if (shown.delete(side + name)) views[side].removeImageLayer(name);
  if (wanted) views[side].setOverlayImageLayer(make(), name), shown.add(side + name);
}
for (const id of ["layer", "sigma", "flags"]) at(id).addEventListener("change", layers);
at("sigma").disabled = !sky.values.length;
for (const [mark, colour] of Object.entries(sky.marks)) {
  const word = document.createElement("span");
  word.textContent = `${mark.toLowerCase()} `;
  word.style.color = colour;
  at("marks").append(word);
}
at("marks").hidden = true;

// ---- sources and outlines of the bricks in sight

const RADIAN = Math.PI / 180;
const turn = (degrees) => ((degrees + 540) % 360) - 180;
// How far a place lies inside a brick, degrees; negative outside. Edges are straight in the tangent plane of the place.
function depth(brick, ra, dec) {
  const [sin, cos] = [Math.sin(dec * RADIAN), Math.cos(dec * RADIAN)];
  const flat = brick.corners.map(([lon, lat]) => {
    const [s, c, east] = [Math.sin(lat * RADIAN), Math.cos(lat * RADIAN), turn(lon - ra) * RADIAN];
    const scale = 1 / (sin * s + cos * c * Math.cos(east));
    return [scale * c * Math.sin(east), scale * (cos * s - sin * c * Math.cos(east))];
  });
  const edges = flat.map(([x, y], side) => {
    const [nextX, nextY] = flat[(side + 1) % 4];
    return (x * nextY - y * nextX) / Math.hypot(nextX - x, nextY - y);
  });
  return Math.max(Math.min(...edges), -Math.max(...edges)) / RADIAN;
}
// The brick that answers for a place: of several, the one whose middle is nearest, unless it ends right there.
function brickAt(ra, dec, bricks = sky.bricks) {
  let [best, least] = [undefined, Infinity];
  for (const brick of bricks) {
    const away = apart(brick, ra, dec), inside = away < brick.size ? depth(brick, ra, dec) : -1;
    const rank = away + (inside < 0.01 * brick.size ? 360 : 0);
    if (inside >= 0 && rank < least) [best, least] = [brick, rank];
  }
  return best;
}
function apart(brick, ra, dec) { // degrees from its middle
  const [east, north] = [brick.ra - ra, brick.dec - dec].map((angle) => Math.sin(angle * RADIAN / 2) ** 2);
  return 2 * Math.asin(Math.sqrt(north + east * Math.cos(dec * RADIAN) * Math.cos(brick.dec * RADIAN))) / RADIAN;
}

const CIRCLE = 12; // pixels
const found = Object.fromEntries(SIDES.map((side) => {
  const catalogue = A.catalog({ name: side, shape: "circle", sourceSize: CIRCLE, color: COLOURS[side] });
  views[side].addCatalog(catalogue);
  return [side, catalogue];
}));
const outlines = SIDES.map((side) => {
  const overlay = A.graphicOverlay({ color: "#8899bb", lineWidth: 1 });
  views[side].addOverlay(overlay);
  overlay.hide();
  return overlay;
});
const listed = new Set();
const SHARE = 0.4; // of the mean distance between sources, up to which a circle may be wide
function mark() { // where circles would not hide the sky
  const distance = first.size / Math.sqrt(Math.max(1, ...SIDES.map((side) => first[side])));
  const far = views.input.getFov()[0] / at("views").clientWidth * CIRCLE > SHARE * distance;
  at("far").hidden = !far || !at("found").checked;
  for (const side of SIDES) found[side][at("found").checked && !far ? "show" : "hide"]();
}
async function showFound() {
  const [ra, dec] = views.input.getRaDec(), reach = views.input.getFov()[0];
  mark();
  if (reach > 12 * first.size) return; // too many bricks in sight
  for (const brick of sky.bricks.filter((brick) => !listed.has(brick.brick) && apart(brick, ra, dec) < reach + brick.size)) {
    listed.add(brick.brick);
    const beside = sky.bricks.filter((other) => apart(other, brick.ra, brick.dec) < brick.size + other.size);
    for (const outline of outlines) outline.add(A.polygon(brick.corners));
    const lists = await (await fetch(`found/${brick.brick.slice(0, 3)}/${brick.brick}.json`)).json();
    for (const side of SIDES) {
      const own = lists[side].filter(([ra, dec]) => brickAt(ra, dec, beside) === brick);
      found[side].addSources(own.map(([ra, dec, score]) => A.source(ra, dec, { score, brick: brick.brick })));
    }
  }
}
at("found").addEventListener("change", mark);
at("outlines").addEventListener("change", (event) => outlines.forEach((each) => each[event.target.checked ? "show" : "hide"]()));
showFound();

// ---- values at the pointer

// Pixel of the finest tiles at a place: number of the tile (HEALPix, nested; Gorski et al. 2005), column, row.
function pixelAt(ra, dec) {
  const n = 2 ** sky.order * WIDTH, z = Math.sin(dec * RADIAN), t = (((ra % 360) + 360) % 360) / 90;
  let face, x, y;
  if (Math.abs(z) <= 2 / 3) {
    const down = Math.floor(n * (0.5 + t - 0.75 * z)), up = Math.floor(n * (0.5 + t + 0.75 * z));
    const [low, high] = [Math.floor(down / n), Math.floor(up / n)];
    face = low === high ? low % 4 + 4 : low < high ? low : high + 8;
    [x, y] = [up % n, n - 1 - (down % n)];
  } else {
    const quarter = Math.floor(t), inside = t - quarter, ring = n * Math.sqrt(3 * (1 - Math.abs(z)));
    const [down, up] = [inside, 1 - inside].map((part) => Math.min(n - 1, Math.floor(part * ring)));
    face = z > 0 ? quarter : quarter + 8;
    [x, y] = z > 0 ? [n - 1 - up, n - 1 - down] : [down, up];
  }
  let tile = face;
  for (let bit = n / 2; bit >= WIDTH; bit /= 2) tile = 4 * tile + 2 * (Math.floor(y / bit) % 2) + Math.floor(x / bit) % 2;
  return { tile, column: y % WIDTH, row: WIDTH - 1 - (x % WIDTH) };
}

const tiles = new Map(); // the last few, as promises of their bytes
function tileOf(name, tile) {
  const address = `${name}/Norder${sky.order}/Dir${Math.floor(tile / 10000) * 10000}/Npix${tile}.fits`;
  if (!tiles.has(address)) tiles.set(address, fetch(address).then((answer) => answer.arrayBuffer()));
  if (tiles.size > 60) tiles.delete(tiles.keys().next().value);
  return tiles.get(address);
}
// Values at a place by kind and band, in nanomaggies; NaN where there are no data.
async function valuesAt(ra, dec) {
  const { tile, column, row } = pixelAt(ra, dec), inside = isThere(sky.order, tile), values = {};
  for (const kind of [...SIDES, "sigma"]) {
    for (const band of sky.values) {
      const bytes = inside && new DataView(await tileOf(`${kind}-${band}`, tile));
      const start = bytes && bytes.byteLength - Math.ceil(4 * WIDTH ** 2 / 2880) * 2880;
      values[`${kind}-${band}`] = bytes ? bytes.getFloat32(start + 4 * (row * WIDTH + column)) : NaN;
    }
  }
  return values;
}
const cell = (text, kind = "td") => Object.assign(document.createElement(kind), { textContent: text });
const line = (cells) => { const row = document.createElement("tr"); row.append(...cells); return row; };
let busy = false;
for (const side of SIDES) {
  views[side].on("mouseMove", async (event) => {
    if (busy || event.ra === undefined) return;
    busy = true;
    const { ra, dec } = event, values = await valuesAt(ra, dec).finally(() => { busy = false; });
    at("place").textContent = `${ra.toFixed(5)} ${dec.toFixed(5)}`;
    at("brick").textContent = told(brickAt(ra, dec));
    at("values").replaceChildren(
      line(["nanomaggies", ...sky.values].map((text) => cell(text, "th"))),
      ...[...SIDES, "sigma"].map((kind) => line([cell(kind, "th"), ...sky.values.map((band) => {
        const value = values[`${kind}-${band}`];
        return Object.assign(cell(Number.isNaN(value) ? "–" : value.toPrecision(4)), { id: `value-${kind}-${band}` });
      })])));
  });
}

// ---- bricks

const COLUMNS = {
  brick: (brick) => brick.brick, "found in input": (brick) => brick.input, denoised: (brick) => brick.denoised,
  "noise, nMgy": (brick) => (brick.noise ?? "").split(";")[0].split(" ").map((each) => +(+each).toPrecision(2)).join(" "),
};
const warning = (brick) => [
  brick.foreign && `foreign noise: ${brick.foreign}`, brick.unmasked && `maskbits lack ${brick.unmasked}`,
  brick.unverified && `${brick.unverified} files without a checksum`,
].filter(Boolean).join("; ");
const told = (brick) => (brick ? `${brick.brick} ${warning(brick)}` : "\u00a0");
at("columns").append(line(Object.keys(COLUMNS).map((name) => cell(name, "th"))));
function list() {
  const chosen = sky.bricks.filter((brick) => brick.brick.includes(at("filter").value.trim()));
  at("bricks").replaceChildren(...chosen.slice(0, MOST_ROWS).map((brick) => {
    const row = line(Object.values(COLUMNS).map((column) => cell(column(brick))));
    row.title = warning(brick);
    row.classList.toggle("warns", Boolean(row.title));
    row.addEventListener("click", () => { go(brick.ra, brick.dec, brick.size); at("brick").textContent = told(brick); });
    return row;
  }));
  at("filter").placeholder = `${chosen.length} bricks`;
}
at("filter").addEventListener("input", list);
list();

at("run").textContent = document.title = sky.run;
at("note").textContent = `Circles are point sources in all bands together, where all have data, from a score of ${SIDES.map((side) =>
  `${sky.least[side].toFixed(1)} (${side})`).join(" and ")}: flux over its error in the input. Many on the light of bright galaxies are false. Values are those of the brick's pixel. ${sky.credit}`;
window.sky = { go, valuesAt, sourcesOf: (side) => found[side].getSources().map(({ ra, dec }) => [ra, dec]) };
