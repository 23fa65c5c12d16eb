import { summarize } from './statistics.js';

/**
 * A row of the table: our values against a competitor's, our values against a fixed target, or a
 * failure.
 * @typedef {object} Measured
 * @property {string} what
 * @property {string} unit of the values, such as `s`
 * @property {number[]} ours one value for each run
 * @property {{ name: string, values: number[] }} [rival] each value measured next to one of ours
 * @property {number} [target] upper limit of the ratio or, without a rival, of the value
 *
 * @typedef {{ what: string, failure: string }} Failed
 * @typedef {Measured | Failed} Row
 */

/**
 * @param {{ machine: string[], rows: Row[], quick: boolean, how: string[] }} parts
 * @returns {string} Markdown
 */
export function renderReport({ machine, rows, quick, how }) {
  return [
    '# Benchmark results',
    '',
    '`npm run bench` writes this page. Both sides of a ratio are measured in turn (A B A B …), in the same run on the same',
    'machine. Values are the median (min–max) of all runs. The ratio is that of the medians; the brackets have the ratios of',
    'the pairs. Rows without a target are for comparison.',
    ...(quick
      ? ['', '**A quick run: it has less data and fewer runs than the targets need.**']
      : []),
    '',
    ...machine.map(listItem),
    '',
    '| figure | runs | JobRunner | rival | ratio | target | met |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map(renderRow),
    '',
    '## How it was measured',
    '',
    ...how.map(listItem),
    '',
  ].join('\n');
}

/**
 * Wraps a list item at 120 columns.
 * @param {string} text
 */
function listItem(text) {
  const lines = [''];
  for (const word of `- ${text}`.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= 120) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(`  ${word}`);
  }
  return lines.join('\n');
}

/** @param {Row} row */
function renderRow(row) {
  if ('failure' in row) return `| ${row.what} | | failed: ${row.failure} | | | | **no** |`;
  const { what, unit, ours, rival, target } = row;
  const runs = `${ours.length}`;
  if (rival === undefined) {
    const met = target === undefined ? '' : verdict(summarize(ours).median < target);
    const limit = target === undefined ? '' : `< ${target} ${unit}`;
    return `| ${what} | ${runs} | ${spread(ours, unit)} | | | ${limit} | ${met} |`;
  }
  const ratio = summarize(ours).median / summarize(rival.values).median;
  const pairs = summarize(ours.map((value, i) => value / (rival.values[i] ?? NaN)));
  const limit = target === undefined ? '' : `≤ ${target}`;
  const met = target === undefined ? '' : verdict(ratio <= target);
  return (
    `| ${what} | ${runs} | ${spread(ours, unit)} | ${rival.name}: ${spread(rival.values, unit)} ` +
    `| **${ratio.toFixed(2)}** (${pairs.min.toFixed(2)}–${pairs.max.toFixed(2)}) | ${limit} | ${met} |`
  );
}

/** @param {boolean} met */
function verdict(met) {
  return met ? 'yes' : '**no**';
}

/**
 * @param {number[]} values
 * @param {string} unit
 */
function spread(values, unit) {
  const { median, min, max } = summarize(values);
  if (values.length === 1) return `${brief(median)} ${unit}`;
  return `${brief(median)} ${unit} (${brief(min)}–${brief(max)})`;
}

/** Rounds to three significant digits. @param {number} value */
function brief(value) {
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  return value >= 1 ? value.toFixed(2) : value.toFixed(3);
}
