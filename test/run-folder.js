import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Waits until this process has ended, also by Ctrl-C. A stack in the folder may end a moment later,
// but no later than in a minute.
const remover =
  'cat >/dev/null; n=0; until rm -rf "$0" 2>/dev/null || [ $((n += 1)) -gt 600 ]; do sleep 0.1; done';

/** Makes the folder that all test files of one run share; it goes however the run ends. */
export default function makeRunFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'jr-test-run-'));
  chmodSync(folder, 0o755);
  process.env['JR_TEST_RUN'] = folder;
  const stdio = ['pipe', 'ignore', 'ignore'];
  // In a session of its own, which Ctrl-C does not reach.
  spawn('sh', ['-c', remover, folder], { detached: true, stdio }).unref();
}
