// What the tests share: the program, a browser that is listened to, and pictures.

import { execFileSync, spawn } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { PNG } from "pngjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = process.env.TILELOOM ?? join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug", "tileloom");
const modules = join(root, "src", "view", "page", "node_modules");

export const EARTH = 2 * Math.PI * 6378137;
export const testdata = (name) => join(root, "testdata", name);
export const packageFile = (name) => readFileSync(join(modules, name));
export const integrity = JSON.parse(readFileSync(join(modules, "..", "integrity.json")));

/** A folder for what a test makes, gone when the process ends. */
export const scratch = mkdtempSync(join(tmpdir(), "tileloom-browser-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

/** Makes a tile set. */
export function tile(input, name, ...options) {
  const output = join(scratch, name);
  execFileSync(program, ["tile", "--quiet", testdata(input), output, ...options]);
  return output;
}

/** Starts `tileloom view`: where it is, and the way to end it, which gives its exit code. */
export async function view(tileset, ...options) {
  const child = spawn(program, ["view", "--json", "--port", "0", tileset, ...options], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  let text = "";
  for await (const chunk of child.stdout) {
    text += chunk;
    if (text.endsWith("}\n")) break;
  }
  const stop = () => {
    child.kill("SIGTERM");
    return ended;
  };
  return { address: JSON.parse(text).address, stop };
}

/** Serves a folder as any web server would. */
export async function serve(folder) {
  const media = { ".html": "text/html", ".json": "application/json", ".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg" };
  const server = createServer((request, response) => {
    const path = join(folder, normalize(new URL(request.url, "http://localhost").pathname));
    const type = media[extname(path)];
    if (!type || !existsSync(path)) return response.writeHead(404).end();
    response.writeHead(200, { "Content-Type": type });
    return createReadStream(path).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = () => new Promise((resolve) => {
    server.closeAllConnections();
    server.close(resolve);
  });
  return { address: `http://127.0.0.1:${server.address().port}/`, stop };
}

let running;
export async function browser() {
  running ??= await chromium.launch({
    executablePath: process.env.CHROMIUM,
    // Pages with WebGL draw in software. A sandbox cannot be had by root.
    args: ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--force-color-profile=srgb", "--disable-lcd-text"],
  });
  return running;
}
export const close = async () => running?.close();

/** Opens a page and notes whatever is wrong with it, and what it asks for. Public addresses of npm packages are answered from here. */
export async function open(address, options = {}) {
  const context = await (await browser()).newContext({ viewport: { width: 1000, height: 700 }, colorScheme: "light", ...options });
  const page = await context.newPage();
  const [troubles, requests] = [[], []];
  page.on("console", (message) => troubles.push(`${message.type()}: ${message.text()} ${message.location().url}`));
  page.on("pageerror", (error) => troubles.push(`error: ${error.message} ${error.stack}`));
  page.on("requestfailed", (request) => {
    // Tiles that are out of sight before they are there are not waited for.
    if (request.failure()?.errorText !== "net::ERR_ABORTED") troubles.push(`failed: ${request.url()} ${request.failure()?.errorText}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) troubles.push(`${response.status()}: ${response.url()}`);
  });
  page.on("request", (request) => requests.push(request.url()));
  await page.route("https://cdn.jsdelivr.net/npm/**", (route) => {
    const [, name, file] = route.request().url().match(/npm\/([^/]+)@[\d.]+\/(.*)$/);
    const contentType = file.endsWith(".css") ? "text/css" : "text/javascript";
    return route.fulfill({ body: packageFile(`${name}/${file}`), contentType, headers: { "Access-Control-Allow-Origin": "*" } });
  });
  await page.goto(address);
  return { page, troubles, requests, close: () => context.close() };
}

/** Waits until everything is drawn. */
export async function drawn(page) {
  await page.evaluate(() => new Promise((resolve) => {
    tileloom.map.once("rendercomplete", resolve);
    tileloom.map.render();
  }));
}

/** Where a map is on the page, and its size. */
export const place = (page) => page.locator("#map").boundingBox();

/** Moves the map to a level with the pixels of tiles on pixels of the screen: the pixel of the level that is in its upper left corner. */
export async function show(page, zoom, [longitude, latitude], side = 256) {
  const { width, height } = await place(page);
  const all = side * 2 ** zoom;
  const sine = Math.sin((latitude * Math.PI) / 180);
  const left = Math.round(all * (longitude / 360 + 0.5) - width / 2);
  const top = Math.round(all * (0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)) - height / 2);
  const centre = [((left + width / 2) / all - 0.5) * EARTH, (0.5 - (top + height / 2) / all) * EARTH];
  await page.evaluate(([centre, resolution]) => {
    tileloom.map.getView().setResolution(resolution);
    tileloom.map.getView().setCenter(centre);
  }, [centre, EARTH / all]);
  await drawn(page);
  return { left, top };
}

export async function screenshot(page) {
  return PNG.sync.read(await page.screenshot());
}

const read = new Map();
/** A tile of a folder. */
export function tileOf(folder, z, x, y) {
  const path = join(folder, `${z}/${x}/${y}.png`);
  if (!read.has(path)) read.set(path, existsSync(path) ? PNG.sync.read(readFileSync(path)) : undefined);
  return read.get(path);
}

/** The colour of a pixel of a level of a folder, over a background. */
export function pixelOf(folder, z, px, py, background, opacity = 1, side = 256) {
  const tile = tileOf(folder, z, Math.floor(px / side), Math.floor(py / side));
  if (!tile) return background;
  const at = 4 * ((py % side) * side + (px % side));
  const alpha = (tile.data[at + 3] / 255) * opacity;
  return background.map((under, band) => (alpha === 1 ? tile.data[at + band] : under + (tile.data[at + band] - under) * alpha));
}

/**
 * How much a part of a screenshot differs from what is expected: the mean of the differences and the share of pixels with one
 * above 8 of 255 levels.
 */
export function difference(picture, { x, y, width, height }, expected) {
  let [sum, far] = [0, 0];
  for (let row = y; row < y + height; row++) {
    for (let column = x; column < x + width; column++) {
      const at = 4 * (row * picture.width + column);
      const colour = expected(column, row);
      const worst = Math.max(...colour.map((value, band) => Math.abs(value - picture.data[at + band])));
      sum += worst;
      if (worst > 8) far += 1;
    }
  }
  return { mean: sum / (width * height), far: far / (width * height) };
}

/** The background of the map, red, green and blue. */
export async function background(page) {
  const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  return colour.match(/[\d.]+/g).slice(0, 3).map(Number);
}
