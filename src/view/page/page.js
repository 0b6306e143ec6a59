// Shows one tile set. All that is known of the set stands in the page: its TileJSON, with tiles relative to the page, `limits`, the
// columns and rows of the highest level that hold tiles (first column, first row, last column, last row), and `pixels`, the side
// of a picture, where these are known.
"use strict";

(() => {
  const element = (id) => document.getElementById(id);
  const set = JSON.parse(element("tileset").textContent);
  // The side of a tile as it is shown; its picture may have more pixels.
  const { tileSize: side, minzoom, maxzoom } = set;
  const pixels = set.pixels ?? (set.tiles[0].includes("@2x") ? 2 * side : side);
  const say = (id, text) => { element(id).textContent = text; };
  describe();
  if (typeof ol === "undefined") {
    say("trouble", "The map library could not be loaded. Without a connection, use a tileloom that has it inside.");
    return;
  }

  // A page that is a file may show other files as images but not read them.
  const isFile = location.protocol === "file:";
  const height = isFile ? undefined : heightOf(set);
  const { projection, levels, isOnEarth } = division();
  const isRound = projection.canWrapX();
  const deepest = levels[maxzoom];
  const tiles = new ol.tilegrid.TileGrid({
    extent: limits(),
    minZoom: minzoom,
    origins: levels.map((level) => level.origin),
    resolutions: levels.map((level) => level.resolution),
    tileSize: side,
  });
  const blank = canvas(pixels);
  const heights = new Map();
  const plan = { projection, tileGrid: tiles, wrapX: isRound, transition: 0 };
  const layer = new ol.layer.Tile({ source: pictures() });
  const grid = new ol.layer.Tile({ source: new ol.source.ImageTile({ ...plan, tileSize: side, loader: outline }), visible: false });
  const view = new ol.View({
    projection,
    // Pixels of tiles are pixels of the screen.
    constrainResolution: true,
    enableRotation: false,
    multiWorld: true,
    center: ol.extent.getCenter(limits()),
    resolution: levels[minzoom].resolution,
    resolutions: [
      ...levels.slice(Math.max(minzoom - 1, 0)).map((level) => level.resolution),
      ...[2, 4, 8, 16].map((times) => deepest.resolution / times),
    ],
  });
  const controls = [new ol.control.Zoom(), ...(isOnEarth ? [new ol.control.ScaleLine()] : [])];
  const map = new ol.Map({ target: "map", layers: [layer, grid], view, controls });
  listen();
  showEverything();
  // For the console, and for tests.
  globalThis.tileloom = { set, map, layer };

  function describe() {
    say("name", set.name);
    const terrain = set.encoding ? `, heights (${set.encoding})` : "";
    const division = set.tileMatrixSet?.id ? `, ${set.tileMatrixSet.id}` : "";
    say("about", `Zoom ${minzoom} to ${maxzoom}, tiles of ${side} pixels, ${set.format}${terrain}${division}`);
    say("description", set.description ?? "");
    // It may be HTML: only its text is shown.
    say("credit", new DOMParser().parseFromString(set.attribution ?? "", "text/html").body.textContent);
  }

  /**
   * What the tiles divide: a plane, and its levels with the side of a pixel, the upper left corner, and the number of columns and
   * rows. Whether the plane is one of those that OpenLayers can place on the Earth.
   */
  function division() {
    if (set.tileMatrixSet) return defined(set.tileMatrixSet);
    if (Array.isArray(set.bounds)) return { ...quadtree(ol.proj.get("EPSG:3857")), isOnEarth: true };
    // Without a place on the Earth: the unit is a pixel of the highest level.
    const all = side * 2 ** maxzoom;
    const plane = new ol.proj.Projection({ code: "pixels", units: "pixels", extent: [0, -all, all, 0] });
    return { ...quadtree(plane), isOnEarth: false };
  }

  function quadtree(projection) {
    const extent = projection.getExtent();
    const origin = ol.extent.getTopLeft(extent);
    const top = ol.extent.getWidth(extent) / side;
    const level = (_, z) => ({ resolution: top / 2 ** z, origin, columns: 2 ** z, rows: 2 ** z });
    return { projection, levels: Array.from({ length: maxzoom + 1 }, level) };
  }

  /** A tile matrix set as OGC 17-083r4 has it in JSON; corners of origin are upper left ones. */
  function defined({ crs, orderedAxes, tileMatrices }) {
    const address = typeof crs === "string" ? crs : crs?.uri ?? "";
    const code = /CRS84$/.test(address) ? "EPSG:4326" : address.replace(/^.*EPSG.*[/:](\d+)$/, "EPSG:$1");
    const isNorthFirst = /^(lat|n|y)/i.test(orderedAxes?.[0] ?? (code === "EPSG:4326" && /EPSG/.test(address) ? "lat" : ""));
    const levels = [];
    tileMatrices.forEach((matrix, index) => {
      const number = Number(matrix.id);
      const [first, second] = matrix.pointOfOrigin;
      levels[Number.isInteger(number) ? number : index] = {
        resolution: (matrix.cellSize * matrix.tileWidth) / side,
        origin: isNorthFirst ? [second, first] : [first, second],
        columns: matrix.matrixWidth,
        rows: matrix.matrixHeight,
      };
    });
    levels.length = maxzoom + 1;
    for (let z = maxzoom; z >= 0; z--) levels[z] ??= { ...levels[z + 1], resolution: 2 * levels[z + 1].resolution };
    const known = ol.proj.get(code);
    const { origin: [west, north], resolution, columns, rows } = levels[minzoom];
    const extent = [west, north - rows * side * resolution, west + columns * side * resolution, north];
    return { projection: known ?? new ol.proj.Projection({ code: "plane", extent }), levels, isOnEarth: Boolean(known) };
  }

  /** Outside of this no tile is asked for. */
  function limits() {
    const { columns, rows, origin: [west, north], resolution } = deepest;
    const [first, top, last, bottom] = set.limits ?? [0, 0, columns - 1, rows - 1];
    const span = side * resolution;
    return [west + first * span, north - (bottom + 1) * span, west + (last + 1) * span, north - top * span];
  }

  /** Level, column and row as the tile is called. */
  function called(z, x, y) {
    return [z, x, set.scheme === "tms" ? levels[z].rows - 1 - y : y];
  }

  function address(z, x, y) {
    const [level, column, row] = called(z, x, y);
    const path = set.tiles[0].replace("{z}", level).replace("{x}", column).replace("{y}", row);
    return new URL(path, document.baseURI).href;
  }

  function canvas(size) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [size, size];
    return canvas;
  }

  /** Another one each time, so that all is drawn anew. */
  function pictures() {
    return new ol.source.ImageTile({ ...plan, tileSize: pixels, loader: load });
  }

  /** What OpenLayers draws for an address. */
  async function load(z, x, y, { signal }) {
    if (isShade()) return hillshade(z, x, y);
    return (await picture(z, x, y, signal)) ?? blank;
  }

  /** The picture of a tile; nothing where the set has none. */
  async function picture(z, x, y, signal) {
    if (isFile) {
      const image = new Image();
      image.src = address(z, x, y);
      return image.decode().then(() => image, () => undefined);
    }
    const response = await fetch(address(z, x, y), { signal }).catch((error) => {
      if (error.name !== "AbortError") say("trouble", "The server does not answer any more.");
      throw error;
    });
    if (response.status === 204 || response.status === 404) return undefined;
    if (!response.ok) {
      const reason = await response.text();
      say("trouble", reason);
      throw new Error(reason);
    }
    // Heights are numbers, which no colour profile may touch.
    const exact = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    return createImageBitmap(await response.blob(), height ? exact : {});
  }

  function isShade() {
    return height !== undefined && element("heights").value === "shade";
  }

  async function hillshade(z, x, y) {
    const around = [-1, 0, 1].flatMap((down) => [-1, 0, 1].map((right) => heightsOf(z, x + right, y + down)));
    // Damaged neighbours are no reason not to show a tile.
    const found = await Promise.all(around.map((tile, k) => (k === 4 ? tile : tile.catch(() => undefined))));
    if (!found[4]) return blank;
    return createImageBitmap(shaded(framed(found, pixels), pixels, metres(z, x, y), Number(element("relief").value)));
  }

  /** The heights of a tile; those of the last few tiles are kept. */
  function heightsOf(z, x, y) {
    const { columns } = levels[z];
    const column = isRound ? (x + columns) % columns : x;
    if (!tiles.getFullTileRange(z).containsXY(column, y)) return Promise.resolve(undefined);
    const key = `${z}/${column}/${y}`;
    const found = heights.get(key) ?? picture(z, column, y).then((image) => image && decoded(image, height));
    found.catch(() => heights.delete(key));
    heights.delete(key);
    heights.set(key, found);
    if (heights.size > 200) heights.delete(heights.keys().next().value);
    return found;
  }

  /** How many metres the pixels in a row of a tile are wide; on a plane of its own, as many as they have units. */
  function metres(z, x, y) {
    const { resolution, origin: [west, north] } = levels[z];
    const step = (resolution * side) / pixels;
    if (!isOnEarth) return () => step;
    const middle = west + (x + 0.5) * side * resolution;
    return (row) => ol.proj.getPointResolution(projection, step, [middle, north - (y * pixels + row + 0.5) * step], "m");
  }

  /** A tile of the grid: its edges and how it is called. */
  function outline(z, x, y) {
    const tile = canvas(side);
    const context = tile.getContext("2d");
    context.strokeStyle = "#d81b60";
    context.strokeRect(0.5, 0.5, side, side);
    context.font = "16px system-ui, sans-serif";
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = "white";
    context.fillStyle = "#ad1457";
    const text = called(z, x, y).join("/");
    context.strokeText(text, 8, 22);
    context.fillText(text, 8, 22);
    return tile;
  }

  function listen() {
    element("opacity").addEventListener("input", ({ target }) => {
      layer.setOpacity(target.value / 100);
      say("opaque", `${target.value} %`);
    });
    element("grid").addEventListener("change", ({ target }) => grid.setVisible(target.checked));
    element("terrain").hidden = height === undefined;
    element("heights").addEventListener("change", () => layer.setSource(pictures()));
    element("relief").addEventListener("input", ({ target }) => {
      say("steep", `× ${target.value}`);
      layer.setSource(pictures());
    });
    element("theme").addEventListener("change", ({ target }) => { document.documentElement.dataset.theme = target.value; });
    element("whole").addEventListener("click", showEverything);
    map.getViewport().querySelectorAll("button").forEach((button) => button.setAttribute("aria-label", button.title));
    let pointer;
    map.on("pointermove", (event) => read((pointer = event.pixel)));
    map.on("moveend", () => read(pointer));
    map.getViewport().addEventListener("pointerleave", () => read((pointer = undefined)));
  }

  function showEverything() {
    const isTold = isOnEarth && Array.isArray(set.bounds);
    const extent = isTold ? ol.proj.transformExtent(set.bounds, "EPSG:4326", projection) : limits();
    const panel = innerWidth > 700 ? element("panel").offsetWidth + 20 : 20;
    view.fit(extent, { padding: [20, panel, 20, 20], minResolution: deepest.resolution });
  }

  /** Says what is under the pointer; without a pointer, in the middle. */
  function read(pixel) {
    const place = pixel ? map.getCoordinateFromPixel(pixel) : view.getCenter();
    const now = view.getResolution();
    if (!place || !now) return;
    const [z, x, y] = tiles.getTileCoordForCoordAndZ(place, tiles.getZForResolution(now));
    const { columns, rows, resolution } = levels[z];
    const column = isRound ? ((x % columns) + columns) % columns : x;
    const exists = column >= 0 && column < columns && y >= 0 && y < rows;
    say("tile", exists ? called(z, column, y).join("/") : "none");
    const times = Math.log2(resolution / now);
    say("zoom", Math.abs(times) < 0.01 ? z : `${z + Math.round(times)} (tiles of ${z})`);
    if (isOnEarth) {
      const [longitude, latitude] = ol.proj.toLonLat(place, projection);
      say("where", `longitude ${longitude.toFixed(6)}°, latitude ${latitude.toFixed(6)}°`);
    } else if (set.tileMatrixSet) {
      say("where", `x ${place[0].toFixed(3)}, y ${place[1].toFixed(3)}`);
    } else {
      say("where", `pixel ${Math.floor(place[0])}, ${Math.floor(-place[1])}`);
    }
    say("height", "");
    if (height && exists) readHeight(z, column, y, place);
  }

  async function readHeight(z, x, y, [east, north]) {
    const { origin, resolution } = levels[z];
    const at = (distance) => Math.floor((((distance / resolution) % side + side) % side) * (pixels / side));
    // What could not be loaded has been said.
    const found = await heightsOf(z, x, y).catch(() => undefined);
    if (found && element("tile").textContent === called(z, x, y).join("/")) {
      say("height", `height ${found[at(origin[1] - north) * pixels + at(east - origin[0])].toFixed(1)} m`);
    }
  }
})();
