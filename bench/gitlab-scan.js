import { readFileSync } from 'node:fs';
import process from 'node:process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GitLabClient } from '../dist/ingest/gitlab/client.js';
import { ProjectScanner } from '../dist/ingest/gitlab/scanner.js';

/*
 * Scans a GitLab at each message, as the service does. Answers with the results and the memory in
 * use, in bytes. It is a process of its own, so that neither the measuring program nor the stand-in
 * counts. Needs --expose-gc.
 */

const client = new GitLabClient({ url: process.argv[2] ?? '', token: 'bench-token' });
const scanner = new ProjectScanner({ client });

process.on('message', () => {
  void scan().then((result) => process.send?.(result));
});
process.on('disconnect', () => process.exit());

async function scan() {
  let projects = 0;
  let jobs = 0;
  let unchanged = 0;
  for await (const { found, isUnchanged } of scanner.scan()) {
    projects += 1;
    jobs += (found?.manifest.jobs.length ?? 0) - (found?.responses.size ?? 0);
    if (isUnchanged || found === undefined) unchanged += 1;
  }
  globalThis.gc?.();
  // Objects that wait for their finalizers are freed only now.
  await nextTurn();
  globalThis.gc?.();
  const [, kib] = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  const { heapUsed, external } = process.memoryUsage();
  return { projects, jobs, unchanged, heap: heapUsed + external, peak: Number(kib) * 1024 };
}
