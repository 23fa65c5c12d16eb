#!/usr/bin/env node
import { writeFile } from 'node:fs/promises';
import process from 'node:process';
import { URL, fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { extraction } from './figures/extraction.js';
import { gitQueue } from './figures/git-queue.js';
import { gitlabScan } from './figures/gitlab.js';
import { gpuSharing } from './figures/gpus.js';
import { jobLatency } from './figures/job-latency.js';
import { memory } from './figures/memory.js';
import { download } from './figures/download.js';
import { startUp } from './figures/start-up.js';
import { ssh } from './figures/ssh.js';
import { submission } from './figures/submission.js';
import { upload } from './figures/upload.js';
import { describeMachine, otherWork } from './machine.js';
import { checkRequirements, RequirementError } from './requirements.js';
import { renderReport } from './report.js';
import { Workspace } from './workspace.js';

/**
 * One measured figure.
 * @typedef {object} Figure
 * @property {string} name for `--only`
 * @property {string} how method of measurement, for the reader of the table
 * @property {(workspace: Workspace) => Promise<import('./report.js').Row[]>} measure
 */

/**
 * In the order in which they run. Extraction runs before anything has freed inodes, starts while no
 * other stack runs, and memory last, on the API that all the others used.
 */
const figures = [
  extraction,
  startUp,
  upload,
  download,
  jobLatency,
  submission,
  memory,
  gpuSharing,
  ssh,
  gitlabScan,
  gitQueue,
];

/** Share of the CPUs above which other programs distort the figures. */
const tolerableShare = 0.1;

/** @param {number} share */
const percent = (share) => `${Math.round(share * 100)} %`;

const usage = `Usage: npm run bench -- [--quick] [--only NAME]...

Measures JobRunner against nginx, GNU tar, sbatch, ssh and scp, both sides in turn on this machine, prints a table
and, after a whole run, writes it to bench/RESULTS.md. Needs root, an installed JobRunner (./run.sh --install), nginx
and sshd (apt-get install nginx-light openssh-server). Uses a temporary folder (TMPDIR) and ports of its own and removes all of it.

  --only NAME   measure only this: ${figures.map(({ name }) => name).join(', ')}; may be given several times
  --quick       less data and fewer runs, to see that it works
  --help        this text
`;

/** @returns {{ quick: boolean, only: string[], help: boolean }} */
function readArguments() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const only = values.only.flatMap((names) => names.split(','));
  const unknown = only.find((name) => !figures.some((figure) => figure.name === name));
  if (unknown !== undefined)
    throw new TypeError(
      `--only ${unknown}: expected one of ${figures.map(({ name }) => name).join(', ')}`,
    );
  return { quick: values.quick, only, help: values.help };
}

/**
 * @param {{ quick: boolean, only: string[] }} options
 * @returns {Promise<number>} the exit code
 */
async function bench({ quick, only }) {
  await checkRequirements();
  const chosen = figures.filter(({ name }) => only.length === 0 || only.includes(name));
  const workspace = await Workspace.open(quick);
  const stop = () => workspace.abort();
  process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', stop);
  // The reader of our lines may leave first, as in a pipe on Ctrl-C; what was started must end.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', stop);
  /** @type {import('./report.js').Row[]} */
  const rows = [];
  let failed = false;
  let busiest = 0;
  try {
    const machine = await describeMachine(workspace);
    for (const figure of chosen) {
      const others = await otherWork(workspace);
      busiest = Math.max(busiest, others);
      workspace.say(`${figure.name}: (other work takes ${percent(others)} of the CPUs)`);
      try {
        rows.push(...(await figure.measure(workspace)));
      } catch (error) {
        if (workspace.signal.aborted) throw error;
        failed = true;
        const reason = error instanceof Error ? error.message : String(error);
        workspace.say(`  failed: ${error instanceof Error ? error.stack : reason}`);
        rows.push({ what: figure.name, failure: reason.split('\n')[0] ?? '' });
      }
    }
    machine.push(
      `Other work on the machine, checked before each figure: up to ${percent(busiest)} of the CPUs` +
        (busiest > tolerableShare ? '; **take the figures with care**' : ''),
    );
    const report = renderReport({ machine, rows, quick, how: chosen.map(({ how }) => how) });
    process.stdout.write(report);
    if (quick || only.length > 0 || failed) workspace.say('Not a whole run: RESULTS.md stays.');
    else await writeFile(fileURLToPath(new URL('RESULTS.md', import.meta.url)), report);
  } catch (error) {
    if (!workspace.signal.aborted) throw error;
    workspace.say('Stopped before the end.');
    return 130;
  } finally {
    await workspace.close();
  }
  return failed ? 1 : 0;
}

try {
  const options = readArguments();
  if (options.help) process.stdout.write(usage);
  else process.exitCode = await bench(options);
} catch (error) {
  const expected = error instanceof RequirementError || error instanceof TypeError;
  process.stderr.write(`bench: ${expected ? error.message : String(error?.stack)}\n`);
  process.exitCode = expected ? 2 : 1;
}
