import { afterAll, describe, expect, test } from '@jest/globals';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../src/config/config-error.js';
import { maskScript } from '../../src/jobs/job-env.js';
import { readJobEnvFile } from '../../src/jobs/job-env-file.js';
import { plainRequest, runScript, scriptOf } from './script-support.js';

const folder = mkdtempSync(join(tmpdir(), 'jr-env-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(content: string, mode = 0o644): string {
  const path = join(folder, 'job.env');
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

describe('the file with variables of every job', () => {
  test('gives a value for each line; a value may hold anything but a line end', () => {
    const path = fileOf(
      `# proxies\n\nhttps_proxy=http://u:p@proxy:3128\nOPTIONS=a=b "c" $d 'e'\nEMPTY=\ntoString=1\n`,
    );
    expect(readJobEnvFile(path)).toEqual({
      https_proxy: 'http://u:p@proxy:3128',
      OPTIONS: `a=b "c" $d 'e'`,
      EMPTY: '',
      toString: '1',
    });
    expect(readJobEnvFile(undefined)).toEqual({});
  });

  test.each([
    ['no name', '=x', /line 1/],
    ['no value', 'A=1\nexport B', /line 2/],
    ['a name of JobRunner’s', 'JR_JOB_ID=7', /line 1: JR_JOB_ID/],
    ['a name that is none', 'A-B=1', /line 1: A-B/],
    ['a name twice', 'A=1\nA=2', /line 2/],
  ])('is refused by its line with %s', (_, content, words) => {
    expect(() => readJobEnvFile(fileOf(content))).toThrow(ConfigError);
    expect(() => readJobEnvFile(fileOf(content))).toThrow(words);
  });

  test('is refused if others may write it, or if it is no file', () => {
    expect(() => readJobEnvFile(fileOf('A=1', 0o664))).toThrow(ConfigError);
    expect(() => readJobEnvFile(folder)).toThrow(ConfigError);
    expect(() => readJobEnvFile(join(folder, 'missing'))).toThrow(ConfigError);
  });
});

test('a job finds the variables of every job; its own go before them', () => {
  const commonEnv = { COMMON: `it's "$1"`, BOTH: 'common' };
  const request = { ...plainRequest, env: { BOTH: 'own' } };
  const { stdout } = runScript({ commonEnv, request }, 'echo "$COMMON $BOTH"');
  expect(stdout).toBe(`it's "$1" own\n`);
});

test('readers see the names of these variables and no value, also of an older file', () => {
  const request = { ...plainRequest, env: { BOTH: 'own' } };
  const script = scriptOf({ commonEnv: { PROXY: 'http://secret', BOTH: 'common' }, request });
  const masked = maskScript(script, request.env, ['PROXY', 'BOTH', 'NEW']);
  expect(masked).toContain("export PROXY='***'");
  expect(masked).toContain("export BOTH='***'");
  expect(masked).not.toMatch(/secret|own'|common/);
});
