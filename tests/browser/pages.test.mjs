// Pages beside folders of tiles, `tileloom tile --webviewer`.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import {
  background, close, difference, drawn, integrity, open, packageFile, pixelOf, place, screenshot, serve, show, testdata, tile,
} from "./support.mjs";

const MIDDLE = [15.123, 48.811];
const CLEAR = { x: 80, y: 60, width: 560, height: 500 };
const folder = tile("rgb.tif", "rgb", "-z", "12-14", "--webviewer", "all");
const terrain = tile("dem.tif", "terrain", "-z", "11-13", "--encoding", "terrarium", "--webviewer", "all");

after(close);

/** Opens a page of a folder, from a web server or as a file, does something with it, and makes sure that nothing was wrong. */
async function looking(folder, name, act, { asFile = false } = {}) {
  const server = await serve(folder);
  const address = asFile ? pathToFileURL(join(folder, name)).href : server.address + name;
  const { page, troubles, close } = await open(address);
  try {
    await act(page);
    assert.deepEqual(troubles, []);
  } finally {
    await close();
    await server.stop();
  }
}

function same(found) {
  assert.ok(found.mean < 2 && found.far < 0.02, JSON.stringify(found));
}

test("the digests that pages tell are those of the packages in the lock file", () => {
  for (const [file, digest] of Object.entries(integrity)) {
    assert.equal(`sha384-${createHash("sha384").update(packageFile(file)).digest("base64")}`, digest, file);
  }
});

for (const asFile of [false, true]) {
  const from = asFile ? "as a file" : "from a web server";

  test(`openlayers.html shows the tiles ${from}`, () => looking(folder, "openlayers.html", async (page) => {
    const under = await background(page);
    const { left, top } = await show(page, 14, MIDDLE);
    same(difference(await screenshot(page), CLEAR, (x, y) => pixelOf(folder, 14, left + x, top + y, under)));
    await page.mouse.move(300, 200);
    const tile = `14/${Math.floor((left + 300) / 256)}/${Math.floor((top + 200) / 256)}`;
    assert.equal(await page.locator("#tile").textContent(), tile);
  }, { asFile }));

  test(`leaflet.html shows the tiles ${from}`, () => looking(folder, "leaflet.html", async (page) => {
    await page.evaluate(([longitude, latitude]) => tileloom.map.setView([latitude, longitude], 14, { animate: false }), MIDDLE);
    await page.waitForFunction(() => {
      const tiles = [...document.querySelectorAll("img.leaflet-tile")];
      return tiles.length > 5 && tiles.every((tile) => tile.classList.contains("leaflet-tile-loaded") && tile.style.opacity === "1");
    });
    const { left, top } = await page.evaluate(() => {
      const { x, y } = tileloom.map.project(tileloom.map.containerPointToLatLng([0, 0]), 14);
      return { left: Math.round(x), top: Math.round(y) };
    });
    // Leaflet's own background.
    same(difference(await screenshot(page), CLEAR, (x, y) => pixelOf(folder, 14, left + x, top + y, [221, 221, 221])));
  }, { asFile }));
}

test("maplibre.html shows the tiles", () => looking(folder, "maplibre.html", async (page) => {
  const { width, height } = await place(page);
  const all = 256 * 2 ** 14;
  const sine = Math.sin((MIDDLE[1] * Math.PI) / 180);
  const left = Math.round(all * (MIDDLE[0] / 360 + 0.5) - width / 2);
  const top = Math.round(all * (0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)) - height / 2);
  const longitude = ((left + width / 2) / all - 0.5) * 360;
  const latitude = (Math.atan(Math.sinh(Math.PI * (1 - (2 * (top + height / 2)) / all))) * 180) / Math.PI;
  await page.evaluate((center) => new Promise((resolve) => {
    // MapLibre counts levels of 512 pixels.
    tileloom.map.jumpTo({ center, zoom: 13 });
    tileloom.map.once("idle", resolve);
  }), [longitude, latitude]);
  const found = difference(await screenshot(page), CLEAR, (x, y) => pixelOf(folder, 14, left + x, top + y, [255, 255, 255]));
  assert.ok(found.mean < 4 && found.far < 0.05, JSON.stringify(found));
}));

test("maplibre.html shades terrain", () => looking(terrain, "maplibre.html", async (page) => {
  await page.evaluate(() => new Promise((resolve) => {
    if (tileloom.map.loaded()) resolve();
    else tileloom.map.once("idle", resolve);
  }));
  const picture = await screenshot(page);
  const colours = new Set();
  for (let at = 0; at < picture.data.length; at += 4) colours.add(picture.data.readUInt32BE(at));
  assert.ok(colours.size > 50, `${colours.size} colours`);
}));

test("openlayers.html shades terrain from a web server and shows its colours as a file", async () => {
  for (const asFile of [false, true]) {
    await looking(terrain, "openlayers.html", async (page) => {
      await drawn(page);
      assert.equal(await page.locator("#terrain").isVisible(), !asFile);
      const { x, y, width, height } = await place(page);
      const picture = await screenshot(page);
      const [r, g, b] = picture.data.subarray(4 * (Math.round(y + height / 2) * picture.width + Math.round(x + width / 2)));
      assert.equal(r === g && g === b, !asFile, `${r}, ${g}, ${b}`);
    }, { asFile });
  }
});

test("tiles with rows from the south, and tiles without a place on the Earth", async () => {
  const tms = tile("rgb.tif", "tms", "-z", "12-14", "--convention", "tms", "-w", "openlayers,leaflet");
  await looking(tms, "openlayers.html", async (page) => {
    const under = await background(page);
    const { left, top } = await show(page, 14, MIDDLE);
    same(difference(await screenshot(page), CLEAR, (x, y) => pixelOf(folder, 14, left + x, top + y, under)));
    await page.mouse.move(300, 200);
    const row = 2 ** 14 - 1 - Math.floor((top + 200) / 256);
    assert.equal(await page.locator("#tile").textContent(), `14/${Math.floor((left + 300) / 256)}/${row}`);
  });
  const scan = tile("unreferenced.tif", "scan", "--tiling-scheme", "raster", "-w", "all");
  for (const name of ["openlayers.html", "leaflet.html"]) {
    await looking(scan, name, async (page) => {
      await page.waitForTimeout(1500);
      const picture = await screenshot(page);
      const colours = new Set();
      for (let at = 0; at < picture.data.length; at += 4) colours.add(picture.data.readUInt32BE(at));
      assert.ok(colours.size > 100, `${name}: ${colours.size} colours`);
    });
  }
  await looking(tms, "leaflet.html", async (page) => page.waitForTimeout(1000));
});

test("tiles of any tile matrix set lie where it says", async () => {
  const set = tile("rgb.tif", "utm", "--tiling-scheme", "raster", "-w", "openlayers");
  const { geoTransform: [west, cell, , north] } = JSON.parse(execFileSync("gdalinfo", ["-json", testdata("rgb.tif")]));
  const file = join(set, "openlayers.html");
  const page = readFileSync(file, "utf8");
  const between = /(?<=id="tileset">).*?(?=<\/script>)/s;
  const data = JSON.parse(page.match(between)[0]);
  const highest = data.maxzoom;
  const crs = "http://www.opengis.net/def/crs/EPSG/0/32633";
  const tileMatrices = Array.from({ length: highest + 1 }, (_, z) => ({
    id: `${z}`,
    cellSize: cell * 2 ** (highest - z),
    pointOfOrigin: [west, north],
    tileWidth: 256,
    tileHeight: 256,
    matrixWidth: 2 ** z,
    matrixHeight: 2 ** z,
  }));
  data.tileMatrixSet = { id: "Pixels33N", crs, orderedAxes: ["X", "Y"], tileMatrices };
  writeFileSync(file, page.replace(between, () => JSON.stringify(data)));
  await looking(set, "openlayers.html", async (page) => {
    await page.evaluate(([west, north, cell]) => {
      const { width, height } = document.getElementById("map").getBoundingClientRect();
      tileloom.map.getView().setResolution(cell);
      tileloom.map.getView().setCenter([west + cell * (width / 2 - 90), north - cell * (height / 2 - 30)]);
    }, [west, north, cell]);
    await drawn(page);
    const under = await background(page);
    const wanted = (x, y) => (x < 90 || y < 30 ? under : pixelOf(set, highest, x - 90, y - 30, under));
    same(difference(await screenshot(page), CLEAR, wanted));
    await page.mouse.move(490, 330);
    assert.equal(await page.locator("#tile").textContent(), `${highest}/1/1`);
    const input = `${west + 400 * cell} ${north - 300 * cell}\n`;
    const [longitude, latitude] = execFileSync("gdaltransform", ["-s_srs", "EPSG:32633", "-t_srs", "EPSG:4326"], { input })
      .toString().split(" ").map(Number);
    const [, shownLongitude, shownLatitude] = (await page.locator("#where").textContent()).match(/^longitude (.+)°, latitude (.+)°$/);
    assert.ok(Math.abs(shownLongitude - longitude) < 2e-6 && Math.abs(shownLatitude - latitude) < 2e-6);
  });
});
