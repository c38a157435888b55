// What depends on what, for any choice of masks, put between panels.js and explorer.js, so that no kernel is needed.
// Python finds it by autograd; here it follows from the masks: what a layer keeps depends on itself alone, what it changes
// on itself and on all that it keeps. tests/browser holds the two together, for every choice there is.

const LAYERS = 6, CHANNELS = 3;
const NUMBERS = ["kept", "changed", "own", "filled", "new", "untouched", "full", "least", "most", "dims", "entries"];

compute = ({ mask, swap, size, seed = 0 }, shared) => {
  const dims = CHANNELS * size * size, all = Array.from({ length: dims }, (_, i) => i);
  const drawn = shared[`${mask}_${size}`].data.subarray(seed * dims, (seed + 1) * dims); // bit k: of the k-th pair of layers
  const wide = CHANNELS * (size + 1) - 1;
  const masks = new Uint8Array(size * wide), layers = new Uint8Array(dims * dims), composed = new Uint8Array(dims * dims);
  for (let i = 0; i < masks.length; i++) masks[i] = (i % wide) % (size + 1) === size ? 1 : 0; // the gaps between channels
  for (const i of all) composed[i * dims + i] = 1;
  let sees = all.map((i) => all.map((j) => i === j)); // what each number of z depends on, with no layer: itself
  let never = all, before = dims;
  const counts = Object.fromEntries(NUMBERS.map((name) => [name, new Float32Array(LAYERS + 1)]));

  function count(n, kept, own) {
    const sizes = sees.map((row) => row.filter(Boolean).length), filled = sizes.reduce((a, b) => a + b);
    const now = { kept, changed: dims - kept, own, filled, new: filled - before, untouched: never.length,
      full: sizes.filter((many) => many === dims).length, least: (100 * Math.min(...sizes)) / dims,
      most: (100 * Math.max(...sizes)) / dims, dims, entries: dims * dims };
    for (const name of NUMBERS) counts[name][n] = now[name];
    before = filled;
  }
  count(0, dims, dims);
  for (let n = 1; n <= LAYERS; n++) {
    const bit = 1 << n, pair = swap ? (n - 1) >> 1 : 0, other = swap && n % 2 === 0 ? 1 : 0;
    const keeps = all.map((i) => ((drawn[i] >> pair) & 1) !== other);
    const kept = all.filter((i) => keeps[i]);
    const through = all.map((j) => kept.some((i) => sees[i][j])); // what all that is kept depends on
    sees = sees.map((row, i) => (keeps[i] ? row : row.map((dot, j) => dot || through[j])));
    never = never.filter((i) => keeps[i]);
    for (const i of all) {
      if (keeps[i]) masks[Math.floor((i % (size * size)) / size) * wide + Math.floor(i / (size * size)) * (size + 1) + (i % size)] |= bit;
      for (const j of all) {
        if (i === j || (!keeps[i] && keeps[j])) layers[i * dims + j] |= bit;
        if (sees[i][j]) composed[i * dims + j] |= bit;
      }
    }
    count(n, kept.length, dims + (dims - kept.length) * kept.length);
  }
  const tables = Object.fromEntries(NUMBERS.map((name) => [name, { data: counts[name], shape: [LAYERS + 1] }]));
  return { ...tables, masks: { data: masks, shape: [size, wide] }, layers: { data: layers, shape: [dims, dims] },
    composed: { data: composed, shape: [dims, dims] } };
};
