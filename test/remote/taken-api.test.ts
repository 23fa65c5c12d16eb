import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { layoutOf } from '../../src/config/layout.js';
import {
  newInstallationId,
  readInstallationId,
} from '../../src/machines/ssh-hosts/installation.js';
import { FileWriter } from '../../src/machines/ssh-hosts/run/file-writer.js';
import type { Listing } from '../../src/machines/ssh-hosts/run/listing.js';
import { JobLog } from '../../src/machines/ssh-hosts/run/log.js';
import { readSpec } from '../../src/machines/ssh-hosts/run/read-spec.js';
import { openUntrusted, rejectOwnFiles } from '../../src/machines/ssh-hosts/run/untrusted-files.js';

/*
 * The API parses untrusted requests, so an attacker may control it. Neither its records of a job
 * nor its folders may lead jr-remote to its keys, or to write where only jr-remote may write.
 */

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-taken-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('a file of a job', () => {
  test('is refused if it belongs to us, through any link', async () => {
    writeFileSync(join(folder, 'key'), 'secret', { mode: 0o400 });
    symlinkSync('key', join(folder, 'script'));
    const uid = process.getuid?.() ?? 0;
    await expect(openUntrusted(join(folder, 'script'), uid)).rejects.toThrow(/no part of a job/);
    await (await openUntrusted(join(folder, 'script'), uid + 1)).close();
    await expect(openUntrusted(folder, uid + 1)).rejects.toThrow(/is not a file/);
  });

  test('is refused in a tar before any of its bytes has passed, wherever the chunks end', async () => {
    writeFileSync(join(folder, 'theirs'), 'a'.repeat(1500));
    writeFileSync(join(folder, 'ours'), 'secret');
    const tar = (...options: string[]) =>
      execFileSync('tar', ['-C', folder, '--numeric-owner', ...options]);
    const theirs = tar('--owner=4711', '-cf', '-', 'theirs');
    const ours = tar('--owner=4712', '-cf', '-', 'ours');
    // Without the two end blocks of the first tar and its record's padding.
    const both = Buffer.concat([theirs.subarray(0, 512 * 4), ours]);
    for (const size of [1, 511, 512, 513, 100_000]) {
      const pieces = Array.from({ length: Math.ceil(both.length / size) }, (_, i) =>
        both.subarray(i * size, (i + 1) * size),
      );
      const passed: Buffer[] = [];
      const pass = async (own: number) => {
        for await (const piece of rejectOwnFiles(Readable.from(pieces), own)) passed.push(piece);
      };
      await expect(pass(4712)).rejects.toThrow(/no part of a job/);
      expect(Buffer.concat(passed).includes('secret')).toBe(false);
      passed.length = 0;
      await pass(4713);
      expect(Buffer.concat(passed).equals(both)).toBe(true);
    }
  });
});

describe('a job’s spec', () => {
  const spec = (root: string, more = {}) => ({
    job_id: 5,
    comment: `jobrunner:${'0'.repeat(32)}`,
    experiment_id: 'job-5',
    request: {},
    template: { folder: '/templates/shell', body: '', commandKey: 'shell' },
    dataset: null,
    script: null,
    output_dir: join(root, 'results/5'),
    log_dir: join(root, 'logs/jobs/5'),
    ...more,
  });

  test('names only the job’s own folders for writing, and no name that is a path', async () => {
    const layout = layoutOf(folder);
    const path = join(layout.sshJobs, '5', 'spec.json');
    mkdirSync(join(path, '..'), { recursive: true });
    const given = (more = {}) => {
      writeFileSync(path, JSON.stringify(spec(folder, more)));
      return readSpec(layout, '5');
    };
    await expect(given()).resolves.toMatchObject({ job_id: 5 });
    const digest = '0'.repeat(64);
    for (const [more, said] of [
      [{ output_dir: layout.sshState }, 'another job'],
      [{ log_dir: layout.sshState }, 'another job'],
      [{ job_id: 6 }, 'another job'],
      [{ script: { name: '../../x.conf', path: '/x' } }, 'script.name'],
      [{ script: { name: '..', path: '/x' } }, 'script.name'],
      [{ comment: '../..' }, 'comment'],
      [{ dataset: { sha256: '../x', original: '/x', tree: '/x' } }, 'dataset.sha256'],
      [{ dataset: { sha256: digest, original: 'x', tree: '/x' } }, 'dataset.original'],
    ] as const)
      await expect(given(more)).rejects.toThrow(said);
  });

  test('is not quoted in an error if it is unreadable, since it may be a link to a password', async () => {
    const layout = layoutOf(folder);
    const path = join(layout.sshJobs, '5', 'spec.json');
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, 'hunter2');
    const error: unknown = await readSpec(layout, '5').catch((cause: unknown) => cause);
    expect(String((error as Error).stack)).toMatch(/is not JSON/);
    expect(String((error as Error).stack)).not.toMatch(/hunter2/);
  });
});

describe('the name of this installation’s folders on a host', () => {
  const path = () => join(folder, 'installation');
  const write = (content: string, mode = 0o444) => {
    rmSync(path(), { force: true });
    writeFileSync(path(), content, { mode });
  };

  test('is read as root wrote it', () => {
    const id = newInstallationId();
    write(id);
    expect(readInstallationId(path())).toBe(id);
  });

  test('is no path, no link, and nobody else’s file', () => {
    for (const content of ['../../../etc', '', '/', `${newInstallationId()}/..`, 'a'.repeat(13)]) {
      write(content);
      expect(() => readInstallationId(path())).toThrow(/root did not make/);
    }
    write(newInstallationId());
    chmodSync(path(), 0o666);
    expect(() => readInstallationId(path())).toThrow(/root did not make/);
    write(newInstallationId());
    chownSync(path(), 4711, 4711);
    expect(() => readInstallationId(path())).toThrow(/root did not make/);
    renameSync(path(), `${path()}.real`);
    symlinkSync('installation.real', path());
    expect(() => readInstallationId(path())).toThrow(/ELOOP/);
    rmSync(path());
    expect(() => readInstallationId(path())).toThrow(/is missing/);
  });
});

describe('a link that was put in the place of a folder', () => {
  const sha = (content: string) => createHash('sha256').update(content).digest('hex');
  const listing = (...names: string[]): Listing => ({
    folders: ['a'],
    files: names.map((raw) => ({
      ...{ raw, size: 1, executable: false, mtime: 1, sha256: sha('x') },
    })),
    links: [],
    leftOut: [],
  });

  test('redirects no output, neither at first nor during the writing', () => {
    const [out, state] = [join(folder, 'out'), join(folder, 'state')];
    mkdirSync(state);
    symlinkSync('state', out);
    expect(() => new FileWriter(out, listing('a/x'))).toThrow(/ENOTDIR|ELOOP/);
    rmSync(out);

    mkdirSync(out);
    const writer = new FileWriter(out, listing('a/x', 'y'));
    renameSync(join(out, 'a'), join(out, 'was-a'));
    symlinkSync('../state', join(out, 'a'));
    // The writer entered `a` when it made the folder, or enters it now.
    try {
      writer.write(Buffer.from('xx'));
    } catch (error) {
      expect(String(error)).toMatch(/ENOTDIR|ELOOP/);
    } finally {
      writer.end();
    }
    expect(readdirSync(state)).toEqual([]);
  });

  test('redirects no log', () => {
    const [logs, state] = [join(folder, 'logs'), join(folder, 'state')];
    mkdirSync(state);
    symlinkSync('state', logs);
    expect(() => new JobLog(logs)).toThrow(/ENOTDIR|ELOOP/);
  });
});
