// What depends on what, for any choice of masks, put between panels.js and explorer.js, so that no kernel is needed.
// Python finds it by autograd; here it follows from the masks: what a layer keeps depends on itself alone, what it changes
// on itself and on all that it keeps. tests/browser holds the two together.

const LAYERS = 6, CHANNELS = 3;
const NUMBERS = ["kept", "changed", "own", "filled", "new", "untouched", "full", "least", "most", "dims", "entries"];

compute = ({ mask, swap, size, seed = 0 }, shared) => {
  const area = size * size, dims = CHANNELS * area, wide = CHANNELS * (size + 1) - 1;
  const drawn = shared[`${mask}_${size}`].data.subarray(seed * dims, (seed + 1) * dims); // bit k: of the k-th pair of layers
  const masks = Uint8Array.from({ length: size * wide }, (_, i) => ((i % wide) % (size + 1) === size ? 1 : 0)); // 1: a gap
  const layers = new Uint8Array(dims * dims), sees = new Uint8Array(dims * dims), composed = new Uint8Array(dims * dims);
  const ever = new Uint8Array(dims); // whether a layer has changed it
  for (let i = 0; i < dims; i++) sees[i * dims + i] = composed[i * dims + i] = 1; // with no layer, z is x
  const counts = Object.fromEntries(NUMBERS.map((name) => [name, new Float32Array(LAYERS + 1)]));

  function count(n, kept, own) {
    let filled = 0, full = 0, least = dims, most = 0;
    for (let i = 0; i < dims; i++) {
      let many = 0;
      for (let j = 0; j < dims; j++) many += sees[i * dims + j];
      [filled, least, most] = [filled + many, Math.min(least, many), Math.max(most, many)];
      if (many === dims) full += 1;
    }
    const now = { kept, changed: dims - kept, own, filled, new: n ? filled - counts.filled[n - 1] : 0, full, dims,
      untouched: ever.filter((changed) => !changed).length, least: (100 * least) / dims, most: (100 * most) / dims, entries: dims * dims };
    for (const name of NUMBERS) counts[name][n] = now[name];
  }
  count(0, dims, dims);
  for (let n = 1; n <= LAYERS; n++) {
    const bit = 1 << n, pair = swap ? (n - 1) >> 1 : 0, other = swap && n % 2 === 0 ? 1 : 0;
    const keeps = drawn.map((bits) => ((bits >> pair) & 1) ^ other), through = new Uint8Array(dims);
    for (let i = 0; i < dims; i++) {
      if (keeps[i]) for (let j = 0; j < dims; j++) through[j] |= sees[i * dims + j]; // what all that is kept depends on
    }
    for (let i = 0; i < dims; i++) {
      if (keeps[i]) masks[Math.floor((i % area) / size) * wide + Math.floor(i / area) * (size + 1) + (i % size)] |= bit;
      else ever[i] = 1;
      for (let j = 0, at = i * dims; j < dims; j++, at++) {
        if (!keeps[i]) sees[at] |= through[j];
        if (i === j || (!keeps[i] && keeps[j])) layers[at] |= bit;
        if (sees[at]) composed[at] |= bit;
      }
    }
    const kept = keeps.reduce((a, b) => a + b);
    count(n, kept, dims + (dims - kept) * kept);
  }
  const tables = Object.fromEntries(NUMBERS.map((name) => [name, { data: counts[name], shape: [LAYERS + 1] }]));
  return { ...tables, masks: { data: masks, shape: [size, wide] }, layers: { data: layers, shape: [dims, dims] },
    composed: { data: composed, shape: [dims, dims] } };
};
