import { existsSync } from 'node:fs';
import TestSequencer from '@jest/test-sequencer';

/** Files that take half a minute or more: if one came last, the run would wait for it alone. */
const longest = [
  'test/stack/ssh-hosts.test.ts',
  'test/stack/workers.test.ts',
  'test/stack/moves.test.ts',
  'test/git-queue/many-runners.test.ts',
  'test/stack/jobs.test.ts',
  'test/stack/gpus.test.ts',
  'test/stack/life.test.ts',
  'test/remote/faults.test.ts',
  'test/stack/users.test.ts',
  'test/gitlab/ingest-loop.test.ts',
  'test/stack/external-slurm.test.ts',
  'test/git-queue/work.test.ts',
  'test/stack/faults.test.ts',
  'test/stack/hand-over.test.ts',
  'test/stack/worker-links.test.ts',
  'test/stack/worker-joining.test.ts',
  'test/s3/import.test.ts',
  'test/stack/gitlab.test.ts',
  'test/stack/external-access.test.ts',
  'test/stack/first-free.test.ts',
  'test/stack/users-apart.test.ts',
  'test/stack/queue-ssh.test.ts',
  'test/remote/run.test.ts',
  'test/stack/queue-api.test.ts',
  'test/stack/cli.test.ts',
];

/** Sorts the rest in Jest's own order, by earlier runs or the files' sizes. */
export default class LongestFirst extends TestSequencer {
  /** @param {{ path: string }[]} tests */
  sort(tests) {
    const gone = longest.filter((file) => !existsSync(file));
    if (gone.length > 0) throw new Error(`test/longest-first.js: no such file: ${gone.join(', ')}`);
    return super.sort(tests).sort((a, b) => rankOf(a) - rankOf(b));
  }
}

/** @param {{ path: string }} test */
function rankOf({ path }) {
  const rank = longest.findIndex((file) => path.endsWith(file));
  return rank === -1 ? longest.length : rank;
}
