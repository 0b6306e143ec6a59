// Terrain tiles: heights from colours, and the shade of slopes.
"use strict";

/**
 * The function that turns the colour of a pixel into metres, as MapLibre's raster-dem sources have it
 * (https://maplibre.org/maplibre-style-spec/sources/#raster-dem); nothing for tile sets that hold pictures.
 */
function heightOf(set) {
  const factors = {
    mapbox: [6553.6, 25.6, 0.1, 10000],
    terrarium: [256, 1, 1 / 256, 32768],
    custom: [set.redFactor, set.greenFactor, set.blueFactor, set.baseShift].map(Number),
  }[set.encoding];
  if (!factors || factors.some(Number.isNaN)) return undefined;
  const [red, green, blue, shift] = factors;
  return (r, g, b) => r * red + g * green + b * blue - shift;
}

/** The heights of a picture, row by row. */
function decoded(picture, height) {
  const { width: side } = picture;
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, side, side);
  const heights = new Float32Array(side * side);
  for (let i = 0; i < heights.length; i++) heights[i] = height(data[4 * i], data[4 * i + 1], data[4 * i + 2]);
  return heights;
}

/**
 * The heights of a tile with one pixel more on each side, out of its 3 × 3 neighbourhood (row by row, the tile in the
 * middle). Where there is no neighbour the edge goes on.
 */
function framed(tiles, side) {
  const wide = side + 2;
  const frame = new Float32Array(wide * wide);
  const third = (v) => Math.floor(v / side) + 1;
  const wrapped = (v) => (v + side) % side;
  const within = (v) => Math.min(Math.max(v, 0), side - 1);
  for (let y = -1; y <= side; y++) {
    for (let x = -1; x <= side; x++) {
      const tile = tiles[3 * third(y) + third(x)];
      const pixel = tile ? wrapped(y) * side + wrapped(x) : within(y) * side + within(x);
      frame[(y + 1) * wide + x + 1] = (tile ?? tiles[4])[pixel];
    }
  }
  return frame;
}

/**
 * A picture of a tile in which each pixel is as bright as the light that falls on it from the north-west, 45° high. Slopes are those
 * of Horn (1981), the weighted differences across 3 × 3 pixels, so the numbers are those of `gdaldem hillshade`; `metres(row)` is how
 * wide a pixel is on the Earth, `relief` makes slopes steeper.
 */
function shaded(frame, side, metres, relief) {
  const wide = side + 2;
  const picture = new ImageData(side, side);
  const bytes = new Uint32Array(picture.data.buffer);
  for (let y = 0; y < side; y++) {
    const step = relief / (8 * metres(y));
    for (let x = 0; x < side; x++) {
      const a = y * wide + x;
      const d = a + wide;
      const g = d + wide;
      const west = frame[a] + 2 * frame[d] + frame[g];
      const east = frame[a + 2] + 2 * frame[d + 2] + frame[g + 2];
      const north = frame[a] + 2 * frame[a + 1] + frame[a + 2];
      const south = frame[g] + 2 * frame[g + 1] + frame[g + 2];
      const right = (east - west) * step;
      const up = (north - south) * step;
      // The direction to the light is (−½, ½, √½), that of the slope's normal (−right, −up, 1).
      const light = (0.5 * right - 0.5 * up + Math.SQRT1_2) / Math.sqrt(1 + right * right + up * up);
      const grey = Math.round(1 + 254 * Math.max(light, 0));
      bytes[y * side + x] = 0xff000000 | (grey * 0x10101);
    }
  }
  return picture;
}
