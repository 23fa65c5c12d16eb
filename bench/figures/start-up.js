import { rm } from 'node:fs/promises';
import { Stack } from '../stack.js';

const target = 8;

/** @type {import('../main.js').Figure} */
export const startUp = {
  name: 'start',
  how:
    '**start**: from starting `jobrunner stack` until `GET /health` answers 200 (asked every 20 ms): over a new `JR_ROOT`, where the accounting ' +
    'database is made first, and again over the same one after a job has run and the stack has been stopped.',
  async measure(workspace) {
    /** @type {number[]} */
    const fresh = [];
    /** @type {number[]} */
    const used = [];
    const runs = workspace.runs(5);
    for (let run = 1; run <= runs; run += 1) {
      const stack = await Stack.prepare(workspace, `start-${run}`);
      const first = await stack.up();
      fresh.push(first);
      await stack.runJob('true');
      await stack.down();
      await workspace.settle();
      const second = await stack.up();
      used.push(second);
      await stack.down();
      await rm(stack.root, { recursive: true });
      await workspace.settle();
      workspace.say(`  run ${run}/${runs}: fresh ${first.toFixed(2)}, used ${second.toFixed(2)}`);
    }
    return [
      { what: 'start to `/health` 200, used `JR_ROOT`', unit: 's', ours: used, target },
      { what: 'start to `/health` 200, new `JR_ROOT`', unit: 's', ours: fresh, target },
    ];
  },
};
