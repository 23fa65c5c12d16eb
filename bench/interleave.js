/**
 * Measures all sides in turn, A B A B …, after one round that does not count.
 * @template {string} Side
 * @param {import('./workspace.js').Workspace} workspace
 * @param {number} runs
 * @param {Record<Side, () => Promise<number>>} sides each does one run and returns its measurement
 * @returns {Promise<Record<Side, number[]>>} one value for each run
 */
export async function interleave(workspace, runs, sides) {
  const names = /** @type {Side[]} */ (Object.keys(sides));
  const measured = /** @type {Record<Side, number[]>} */ (
    Object.fromEntries(names.map((name) => [name, []]))
  );
  for (let round = 0; round <= runs; round += 1) {
    /** @type {string[]} */
    const shown = [];
    for (const name of names) {
      workspace.signal.throwIfAborted();
      const value = await sides[name]();
      if (round > 0) measured[name].push(value);
      shown.push(`${name} ${value.toFixed(3)}`);
    }
    workspace.say(`  ${round === 0 ? 'warm-up' : `run ${round}/${runs}`}: ${shown.join(', ')}`);
  }
  return measured;
}
