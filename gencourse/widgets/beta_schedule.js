// The tables of a noise schedule for any choice, put between panels.js and explorer.js, so that no kernel is needed.
// Here, and in coupling_mask.js, stands in JavaScript what Python computes, too; tests/browser holds them together.

compute = ({ schedule, T, beta_1, beta_T, s }, { digits, power }) => {
  const [levels, , height, width] = digits.shape, pixels = height * width;
  const f = (t) => Math.cos(((t / T + s) / (1 + s)) * (Math.PI / 2)) ** 2;
  const scale = schedule === "linear" ? 1000 / T : 1;
  const rule = schedule === "cosine" ? (t) => 1 - f(t) / f(t - 1)
    : (t) => scale * (beta_1 + (beta_T - beta_1) * (T > 1 ? (t - 1) / (T - 1) : 1));
  const [beta, alpha_bar, log_snr] = [0, 1, Infinity].map((first) => new Float32Array(T + 1).fill(first, 0, 1));
  const level = new Uint8Array(T + 1);
  let log = 0, signal, noise; // log ᾱ_t, ᾱ_t, 1 − ᾱ_t
  for (let t = 1; t <= T; t++) {
    const step = Math.min(rule(t), 0.999);
    log += Math.log1p(-step);
    [signal, noise] = [Math.exp(log), -Math.expm1(log)];
    [beta[t], alpha_bar[t], log_snr[t]] = [step, signal, log - Math.log(noise)];
    const angle = Math.acos(Math.sqrt(signal)) / (Math.PI / 2);
    level[t] = clamp(Math.round(angle * (levels + 1)) - 1, 0, levels - 1);
  }
  const L_T = power.data.map((x) => 0.5 * (signal * (x - pixels) - pixels * Math.log1p(-signal))); // x: Σ x_0² of a digit
  const L_T_bits = L_T.map((nats) => nats / (pixels * Math.LN2));
  return Object.fromEntries(Object.entries({ beta, alpha_bar, log_snr, level, L_T, L_T_bits })
    .map(([name, data]) => [name, { data, shape: [data.length] }]));
};
