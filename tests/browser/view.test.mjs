// The page of `tileloom view`.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { PNG } from "pngjs";
import {
  EARTH, background, close, difference, drawn, open, pixelOf, place, screenshot, scratch, show, tile, tileOf, view,
} from "./support.mjs";

/** The middle of testdata/rgb.tif. */
const MIDDLE = [15.123, 48.811];
/** A part of the page in which nothing lies over the map. */
const CLEAR = { x: 80, y: 20, width: 600, height: 560 };
const NOTHING = { mean: 0, far: 0 };

const folder = tile("rgb.tif", "rgb", "-z", "11-14");

after(close);

/** Opens a set, does something with its page, and makes sure that nothing was wrong and nothing asked for elsewhere. */
async function looking(tileset, act, { options = [], page: pageOptions = {} } = {}) {
  const server = await view(tileset, ...options);
  const { page, troubles, requests, close } = await open(server.address, pageOptions);
  try {
    await drawn(page);
    await act(page, { troubles, requests, address: server.address });
    assert.deepEqual(troubles, []);
    const foreign = requests.filter((url) => !url.startsWith(server.address) && !/^(blob|data):/.test(url));
    assert.deepEqual(foreign, [], "everything comes from the server");
  } finally {
    await close();
    assert.equal(await server.stop(), 0, "the server ends without complaint");
  }
}

const text = (page, id) => page.locator(`#${id}`).textContent();

describe("tiles appear where they belong", () => {
  for (const [name, ...options] of [["rgb.pmtiles"], ["rgb.mbtiles"], ["rgb.tar"], ["tms", "--convention", "tms"]]) {
    test(name, () => looking(tile("rgb.tif", name, "-z", "11-14", ...options), async (page) => {
      const under = await background(page);
      for (const zoom of [14, 12]) {
        const { left, top } = await show(page, zoom, MIDDLE);
        const wanted = (x, y) => pixelOf(folder, zoom, left + x, top + y, under);
        const found = difference(await screenshot(page), CLEAR, wanted);
        assert.ok(found.mean < 0.2 && found.far < 0.005, `level ${zoom}: ${JSON.stringify(found)}`);
        const other = difference(await screenshot(page), CLEAR, (x, y) => wanted(x + 1, y));
        assert.ok(other.mean > 0.3, `a shift by a pixel would be seen: ${JSON.stringify(other)}`);
      }
    }));
  }
});

test("the whole set is shown at first, with its name and levels", () => looking(folder, async (page) => {
  assert.equal(await text(page, "name"), "rgb");
  assert.equal(await page.title(), "rgb");
  assert.equal(await text(page, "about"), "Zoom 11 to 14, tiles of 256 pixels, png");
  const [west, south, east, north] = await page.evaluate(() => tileloom.set.bounds);
  const { width, height } = await place(page);
  const corners = await page.evaluate(([west, south, east, north]) => [[west, north], [east, south]]
    .map((corner) => tileloom.map.getPixelFromCoordinate(ol.proj.fromLonLat(corner))), [west, south, east, north]);
  for (const [x, y] of corners) assert.ok(x >= 0 && x <= width && y >= 0 && y <= height, `${x}, ${y}`);
}));

test("the tile and the place under the pointer are told", () => looking(folder, async (page) => {
  for (const zoom of [13, 14]) {
    const { left, top } = await show(page, zoom, MIDDLE);
    for (const [x, y] of [[300, 200], [411, 333], [90, 500]]) {
      await page.mouse.move(x, y);
      const [px, py] = [left + x, top + y];
      assert.equal(await text(page, "tile"), `${zoom}/${Math.floor(px / 256)}/${Math.floor(py / 256)}`);
      const all = 256 * 2 ** zoom;
      const longitude = (px / all - 0.5) * 360;
      const latitude = (Math.atan(Math.sinh(Math.PI * (1 - (2 * py) / all))) * 180) / Math.PI;
      const [, shownLongitude, shownLatitude] = (await text(page, "where")).match(/^longitude (.+)°, latitude (.+)°$/);
      const pixel = 360 / all;
      assert.ok(Math.abs(shownLongitude - longitude) < pixel && Math.abs(shownLatitude - latitude) < pixel);
      assert.equal(await text(page, "zoom"), `${zoom}`);
    }
  }
}));

test("tiles of a folder with rows from the south are called as their files are", async () => {
  await looking(join(scratch, "tms"), async (page) => {
    const { left, top } = await show(page, 14, MIDDLE);
    await page.mouse.move(400, 300);
    const [, z, x, y] = (await text(page, "tile")).match(/^(\d+)\/(\d+)\/(\d+)$/).map(Number);
    assert.deepEqual([z, x, y], [14, Math.floor((left + 400) / 256), Math.floor((top + 300) / 256)]);
  });
});

test("the grid can be shown", () => looking(folder, async (page) => {
  const { left, top } = await show(page, 14, MIDDLE);
  const bare = await screenshot(page);
  await page.getByLabel("Tile grid").check();
  await drawn(page);
  const ruled = await screenshot(page);
  const edge = (picture, x, y) => [...picture.data.subarray(4 * (y * picture.width + x), 4 * (y * picture.width + x) + 3)];
  const column = 256 - (left % 256) + 256;
  const row = 256 - (top % 256) + 256;
  // Above the labels, below the edge.
  for (const y of [row + 60, row + 120, row + 200]) {
    const [red, green, blue] = edge(ruled, column, y);
    assert.ok(red > green + 60 && red > blue, `a line at ${column}, ${y}: ${red}, ${green}, ${blue}`);
    assert.deepEqual(edge(ruled, column + 30, y), edge(bare, column + 30, y), "nothing between the lines");
  }
  const label = { x: column + 4, y: row + 4, width: 110, height: 26 };
  const from = (picture) => (x, y) => edge(picture, x, y);
  assert.ok(difference(ruled, label, from(bare)).far > 0.1, "a label in the corner");
  await page.getByLabel("Tile grid").uncheck();
  await drawn(page);
  assert.deepEqual(difference(await screenshot(page), CLEAR, from(bare)), NOTHING);
}));

test("opacity lets the background through", () => looking(folder, async (page) => {
  const under = await background(page);
  const { left, top } = await show(page, 14, MIDDLE);
  await page.getByLabel("Opacity").fill("40");
  await drawn(page);
  assert.equal(await text(page, "opaque"), "40 %");
  const found = difference(await screenshot(page), CLEAR, (x, y) => pixelOf(folder, 14, left + x, top + y, under, 0.4));
  assert.ok(found.mean < 1.5 && found.far < 0.01, JSON.stringify(found));
}));

test("light and dark follow the system or the choice", () => looking(folder, async (page) => {
  const brightness = async () => (await background(page)).reduce((sum, value) => sum + value, 0) / 3;
  assert.ok((await brightness()) < 60);
  await page.getByLabel("Theme").selectOption("light");
  assert.ok((await brightness()) > 200);
  await page.getByLabel("Theme").selectOption("dark");
  assert.ok((await brightness()) < 60);
  await page.getByLabel("Theme").selectOption("");
  await page.emulateMedia({ colorScheme: "light" });
  assert.ok((await brightness()) > 200);
}, { page: { colorScheme: "dark" } }));

test("levels end where the set's do, and pixels of the last one grow", () => looking(folder, async (page) => {
  await show(page, 14, MIDDLE);
  await page.getByRole("button", { name: "Zoom in" }).click();
  await page.waitForFunction(() => document.getElementById("zoom").textContent.startsWith("15"));
  assert.equal(await text(page, "zoom"), "15 (tiles of 14)");
  await page.evaluate(() => tileloom.map.getView().setZoom(-5));
  await drawn(page);
  assert.equal(await text(page, "zoom"), "10 (tiles of 11)");
  await page.getByRole("button", { name: "Show everything" }).click();
  await drawn(page);
  assert.match(await text(page, "zoom"), /^1[34]$/);
}));

test("the map can be used with keys", () => looking(folder, async (page) => {
  await show(page, 13, MIDDLE);
  const before = await text(page, "where");
  await page.locator("#map").focus();
  await page.keyboard.press("+");
  await page.waitForFunction(() => document.getElementById("zoom").textContent === "14");
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((before) => document.getElementById("where").textContent !== before, before);
}));

test("every control has a name", () => looking(folder, async (page) => {
  const nameless = await page.evaluate(() => [...document.querySelectorAll("input, select, button")]
    .filter((control) => !control.labels?.length && !control.textContent.trim() && !control.title)
    .map((control) => control.outerHTML));
  assert.deepEqual(nameless, []);
  assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
}));

for (const encoding of ["terrarium", "mapbox"]) {
  test(`terrain tiles (${encoding}) are shaded as gdaldem does it`, async () => {
    const custom = encoding === "mapbox" ? ["--base-val", "-500", "--interval", "0.02"] : [];
    const made = ["--encoding", encoding, ...custom, "-z", "9-13"];
    const set = tile("dem.tif", `${encoding}.pmtiles`, ...made);
    const tiles = tile("dem.tif", encoding, ...made);
    const { minzoom, maxzoom, bounds, ...metadata } = JSON.parse(readFileSync(join(tiles, "tilejson.json")));
    const height = ([r, g, b]) => (encoding === "terrarium"
      ? r * 256 + g + b / 256 - 32768
      : -500 + (r * 65536 + g * 256 + b) * 0.02);
    assert.equal(metadata.encoding, encoding === "mapbox" ? "custom" : encoding);
    const middle = [(bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2];
    await looking(set, async (page) => {
      const zoom = 13;
      const { left, top } = await show(page, zoom, middle);
      const heightAt = (px, py) => {
        const colour = pixelOf(tiles, zoom, px, py, [NaN, NaN, NaN]);
        return height(colour);
      };
      await page.mouse.move(330, 310);
      const metres = heightAt(left + 330, top + 310);
      await page.waitForFunction(() => document.getElementById("height").textContent);
      assert.equal(await text(page, "height"), `height ${metres.toFixed(1)} m`);

      const shade = gdaldem(zoom, left, top, heightAt);
      const picture = await screenshot(page);
      const found = difference(picture, { x: 200, y: 150, width: 400, height: 300 }, shade);
      assert.ok(found.mean < 2 && found.far < 0.02, JSON.stringify(found));

      await page.getByLabel("Relief").fill("5");
      await drawn(page);
      const steep = difference(await screenshot(page), { x: 200, y: 150, width: 400, height: 300 }, shade);
      assert.ok(steep.mean > 5, `slopes are steeper: ${JSON.stringify(steep)}`);

      await page.getByLabel("Heights as").selectOption("colours");
      await drawn(page);
      const raw = difference(await screenshot(page), CLEAR, (x, y) => pixelOf(tiles, zoom, left + x, top + y, [231, 233, 236]));
      assert.ok(raw.mean < 1 && raw.far < 0.01, JSON.stringify(raw));
    });
  });
}

/** What gdaldem makes of the heights in the window: a grey for each of its pixels. */
function gdaldem(zoom, left, top, heightAt) {
  const [width, height] = [700, 600];
  const cell = EARTH / 256 / 2 ** zoom;
  const rows = Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => {
    const metres = heightAt(left + x, top + y);
    return Number.isNaN(metres) ? 0 : metres;
  }).join(" "));
  const head = [`ncols ${width}`, `nrows ${height}`, "xllcorner 0", "yllcorner 0", `cellsize ${cell}`, "NODATA_value -99999"];
  const grid = join(scratch, "heights.asc");
  writeFileSync(grid, [...head, ...rows].join("\n"));
  // Metres of Mercator are shorter on the Earth.
  const scale = 1 / Math.cosh(Math.PI * (1 - (2 * (top + height / 2)) / (256 * 2 ** zoom)));
  execFileSync("gdaldem", ["hillshade", "-q", "-of", "PNG", "-s", `${scale}`, grid, join(scratch, "shade.png")]);
  const picture = PNG.sync.read(readFileSync(join(scratch, "shade.png")));
  return (x, y) => {
    const grey = picture.data[4 * (y * width + x)];
    return [grey, grey, grey];
  };
}

test("tiles without a place on the Earth are shown by their pixels", async () => {
  const set = tile("unreferenced.tif", "scan", "--tiling-scheme", "raster");
  await looking(set, async (page, { requests }) => {
    const { maxzoom: highest } = await page.evaluate(() => tileloom.set);
    await page.evaluate((top) => {
      const { width, height } = document.getElementById("map").getBoundingClientRect();
      tileloom.map.getView().setResolution(1);
      tileloom.map.getView().setCenter([width / 2 - 90, -height / 2 + 30]);
    });
    await drawn(page);
    const under = await background(page);
    const wanted = (x, y) => (x < 90 || y < 30 ? under : pixelOf(set, highest, x - 90, y - 30, under));
    const found = difference(await screenshot(page), CLEAR, wanted);
    assert.ok(found.mean < 1 && found.far < 0.01, JSON.stringify(found));
    await page.mouse.move(290, 130);
    assert.equal(await text(page, "where"), "pixel 200, 100");
    assert.equal(await text(page, "tile"), `${highest}/0/0`);
    const beyond = requests.filter((url) => /\/\d+\/\d+\/\d+\.png$/.test(url))
      .filter((url) => !tileOf(set, ...url.match(/(\d+)\/(\d+)\/(\d+)\.png$/).slice(1)));
    assert.deepEqual(beyond, [], "only tiles that exist are asked for");
  });
});

test("tiles of a grid in degrees lie where it says", async () => {
  const set = tile("rgb.tif", "degrees", "-z", "12-13", "--tiling-scheme", "WorldCRS84Quad");
  await looking(set, async (page) => {
    const step = 180 / 256 / 2 ** 13;
    const { width, height } = await place(page);
    const [left, top] = [Math.round((MIDDLE[0] + 180) / step - width / 2), Math.round((90 - MIDDLE[1]) / step - height / 2)];
    await page.evaluate(([step, centre]) => {
      tileloom.map.getView().setResolution(step);
      tileloom.map.getView().setCenter(centre);
    }, [step, [(left + width / 2) * step - 180, 90 - (top + height / 2) * step]]);
    await drawn(page);
    const under = await background(page);
    const found = difference(await screenshot(page), CLEAR, (x, y) => pixelOf(set, 13, left + x, top + y, under));
    assert.ok(found.mean < 0.2 && found.far < 0.005, JSON.stringify(found));
    await page.mouse.move(300, 200);
    assert.equal(await text(page, "tile"), `13/${Math.floor((left + 300) / 256)}/${Math.floor((top + 200) / 256)}`);
    const [, longitude, latitude] = (await text(page, "where")).match(/^longitude (.+)°, latitude (.+)°$/).map(Number);
    assert.ok(Math.abs(longitude - ((left + 300) * step - 180)) < step && Math.abs(latitude - (90 - (top + 200) * step)) < step);
  });
});

test("tiles of 512 pixels and WebP are drawn pixel by pixel, too", async () => {
  const tiles = tile("rgb.tif", "large", "-z", "12-13", "--tile-size", "512");
  await looking(tile("rgb.tif", "large.pmtiles", "-z", "12-13", "--tile-size", "512", "-f", "webp", "--lossless"), async (page) => {
    const under = await background(page);
    const { left, top } = await show(page, 13, MIDDLE, 512);
    const wanted = (x, y) => pixelOf(tiles, 13, left + x, top + y, under, 1, 512);
    const found = difference(await screenshot(page), CLEAR, wanted);
    assert.ok(found.mean < 1 && found.far < 0.01, JSON.stringify(found));
  });
});

test("a damaged tile is named on the page", async () => {
  const set = tile("rgb.tif", "damaged", "-z", "12-13");
  const victim = join(set, "12/2219/1409.png");
  const server = await view(set);
  writeFileSync(victim, readFileSync(victim).subarray(0, 500));
  const { page, troubles, close } = await open(server.address);
  await show(page, 12, MIDDLE);
  await page.waitForFunction(() => document.getElementById("trouble").textContent);
  assert.match(await text(page, "trouble"), /^tile 12\/2219\/1409 is a damaged PNG/);
  assert.ok(troubles.length > 0 && troubles.every((trouble) => trouble.includes("500")), troubles.join("\n"));
  await close();
  await server.stop();
});

test("a picture for the README", { skip: !process.env.PICTURE }, async () => {
  const set = tile("dem.tif", "Hills.pmtiles", "--encoding", "terrarium", "-z", "9-13", "--attribution", "testdata/dem.tif");
  await looking(set, async (page) => {
    const [west, south, east, north] = await page.evaluate(() => tileloom.set.bounds);
    // To the left of the panel.
    await show(page, 13, [(west + east) / 2 + 0.022, (south + north) / 2]);
    await page.getByLabel("Tile grid").check();
    await page.mouse.move(330, 260);
    await drawn(page);
    await page.waitForFunction(() => document.getElementById("height").textContent);
    writeFileSync(process.env.PICTURE, await page.screenshot());
  }, { page: { viewport: { width: 860, height: 520 } } });
});
