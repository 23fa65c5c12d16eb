import { rm } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { Stack } from '../stack.js';

const target = 8;
/** Seconds that `docker stop` waits before it kills. */
const stopTarget = 10;
const stubborn = "trap '' TERM; while :; do sleep 0.1; done";

/** @type {import('../main.js').Figure} */
export const startUp = {
  name: 'start',
  how:
    '**start**: the time from the start of `jobrunner stack` until `GET /health` answers 200 ' +
    '(asked every 20 ms). The first figure is for a new `JR_ROOT`, where the accounting ' +
    'database is made first. The other is for the same folder, after a job has run and the ' +
    'stack has stopped. Stop: the time from SIGTERM to the end. One run has no jobs. The ' +
    'other has a job that ignores SIGTERM and gets 4 s.',
  async measure(workspace) {
    /** @type {number[]} */
    const fresh = [];
    /** @type {number[]} */
    const used = [];
    /** @type {number[]} */
    const idle = [];
    /** @type {number[]} */
    const busy = [];
    const runs = workspace.runs(5);
    for (let run = 1; run <= runs; run += 1) {
      const stack = await Stack.prepare(workspace, `start-${run}`);
      const first = await stack.up();
      fresh.push(first);
      await stack.runJob('true');
      idle.push(await timeDown(stack));
      await workspace.settle();
      const second = await stack.up();
      used.push(second);
      await stack.startJob(stubborn);
      busy.push(await timeDown(stack));
      await rm(stack.root, { recursive: true });
      await workspace.settle();
      workspace.say(`  run ${run}/${runs}: fresh ${first.toFixed(2)}, used ${second.toFixed(2)}`);
    }
    return [
      { what: 'start to `/health` 200, used `JR_ROOT`', unit: 's', ours: used, target },
      { what: 'start to `/health` 200, new `JR_ROOT`', unit: 's', ours: fresh, target },
      { what: 'stop, nothing running', unit: 's', ours: idle, target: stopTarget },
      {
        what: 'stop, a job that ignores SIGTERM running',
        unit: 's',
        ours: busy,
        target: stopTarget,
      },
    ];
  },
};

/** @param {Stack} stack */
async function timeDown(stack) {
  const started = performance.now();
  await stack.down();
  return (performance.now() - started) / 1000;
}
