import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainRequest, runScript } from './script-support.js';

/** Bodies of templates that change the shell that runs them. */
const bodies: [name: string, body: string][] = [
  ['set -e', 'set -e\nfalse\necho not this'],
  ['set -e in a script that succeeds', 'set -e; echo one\nexit 0'],
  ['set -u', 'set -u\necho "$JR_NOTHING"\necho not this'],
  ['set -o pipefail', 'set -eo pipefail\nexit 6 | cat\necho not this'],
  ['exec', 'exec /bin/sh -c "exit 7"'],
  ['an EXIT trap', 'trap "echo bye" EXIT\nexit 3'],
  ['an EXIT trap that chooses the exit code', 'trap "exit 9" EXIT\nset -euo pipefail\nexit 3'],
  ['a last line that ends with a backslash', 'echo one; false \\'],
];

const requests = {
  'a plain job': {},
  'a job with a timeout': { timeout: 60 },
  'a job in screen': { screen: true },
};

/** The exit code that bash itself has with this script. */
const expected = (body: string) => spawnSync('/bin/bash', ['-s'], { input: body }).status;

describe.each(Object.entries(requests))('%s ends as its template does', (_, more) => {
  const request = { ...plainRequest, ...more };

  test.each(bodies)('with %s', (_name, body) => {
    expect(runScript({ request }, body).status).toBe(expected(body));
  });

  test.each(bodies)('with %s, and an external cluster hears of its end', (_name, body) => {
    const folder = mkdtempSync(join(tmpdir(), 'jr-endings-'));
    try {
      const output = join(folder, 'weights');
      writeFileSync(output, '');
      chmodSync(output, 0o600);
      const external = { jobEndedFile: join(folder, 'ended'), sharesByGroup: true };
      const { status } = runScript({ request, external, outputDir: folder }, body);
      expect(status).toBe(expected(body));
      expect(existsSync(external.jobEndedFile)).toBe(true);
      expect(statSync(output).mode & 0o777).toBe(0o660);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('an external cluster hears of the end of a job whose folder is gone', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jr-endings-'));
  try {
    const external = { jobEndedFile: join(folder, 'ended'), sharesByGroup: true };
    const parts = { external, outputDir: join(folder, 'none') };
    expect(runScript(parts, 'set -e; exit 4').status).toBe(4);
    expect(existsSync(external.jobEndedFile)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a failing command in the middle does not end a template without set -e', () => {
  expect(runScript({}, 'false\necho on')).toMatchObject({ status: 0, stdout: 'on\n' });
});

test('a job cancelled on an external cluster may wind up first', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jr-endings-'));
  try {
    const external = { jobEndedFile: join(folder, 'ended'), sharesByGroup: false };
    // Slurm signals every process of the job.
    const child = `bash -c 'trap "sleep 0.3; echo wound up; exit 5" TERM; kill -TERM $PPID; kill -TERM $1; kill -TERM $$; wait' bash $$`;
    const { status, stdout } = runScript({ external }, child);
    expect({ status, stdout }).toEqual({ status: 143, stdout: 'wound up\n' });
    expect(existsSync(external.jobEndedFile)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
