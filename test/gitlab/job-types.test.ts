import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GitLabItem } from '../../src/ingest/gitlab/item.js';
import { parseJobTypes, readJobTypes } from '../../src/ingest/gitlab/job-types.js';
import { submitFieldsOf, whyUnmapped } from '../../src/ingest/gitlab/submit-fields.js';
import { refusal } from '../refusal.js';

const item = (fields: Record<string, unknown>): GitLabItem => ({
  ...{ key: '1/a', title: 'x', projectId: 1, projectPath: 'team/voices', branch: 'main' },
  ...{ jobId: 'a', fields: { job_id: 'a', ...fields }, commit: 'c0ffee', expired: null },
});

const types = parseJobTypes(`
training:
  command_key: train_tts
  gpus: 0.5
  time_limit: 08:00:00
  timeout: 7200
  env: { HF_HOME: /srv/models }
  params: { root: /srv/voices }
inference: infer_tts
`);

describe('the mapping of job types', () => {
  test('maps a type to a command key and to resources', () => {
    expect(types['training']).toMatchObject({ command_key: 'train_tts', time_limit: '08:00:00' });
    expect(types['inference']).toMatchObject({ command_key: 'infer_tts' });
    expect(parseJobTypes('# nothing yet\n')).toEqual({});
  });

  test('maps nothing while its file is missing', async () => {
    expect(await readJobTypes('/nonexistent/types.yaml', [])).toEqual({});
  });

  test('refuses a command key that no template has', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jr-job-types-'));
    const path = join(folder, 'types.yaml');
    try {
      writeFileSync(path, 'training: shell\ninference: { command_key: shel }\n');
      await expect(readJobTypes(path, ['shell'])).rejects.toThrow(/inference: .*"shel"/);
      expect(await readJobTypes(path, ['shel', 'shell'])).toHaveProperty('inference');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('names the error in an unusable file', () => {
    expect(() => parseJobTypes('training: {command_key: a, gpu: 1}')).toThrow(
      /JR_GITLAB_JOB_TYPES: .*gpu/,
    );
    expect(() => parseJobTypes('training: {gpus: 1}')).toThrow(/command_key/);
    expect(() => parseJobTypes('a: [')).toThrow(/JR_GITLAB_JOB_TYPES/);
    expect(() => parseJobTypes('- training')).toThrow(/JR_GITLAB_JOB_TYPES/);
  });

  test('does not mistake JavaScript’s own names for types', () => {
    for (const job_type of ['constructor', '__proto__', 'toString', '', 7, null, undefined])
      expect(whyUnmapped({ job_type }, types)).toBeDefined();
  });
});

describe('a manifest’s job', () => {
  test('passes its fields to the template, and its origin to the environment', () => {
    const fields = submitFieldsOf(
      item({ job_type: 'training', epochs: 3, voice_reference: null, x: [1], canceled: false }),
      types,
    );
    expect(fields).toMatchObject({
      command_key: 'train_tts',
      name: 'team/voices/a',
      gpus: 0.5,
      timeout: 7200,
      params: {
        job_type: 'training',
        epochs: 3,
        voice_reference: null,
        x: [1],
        root: '/srv/voices',
      },
      env: { HF_HOME: '/srv/models', GITLAB_PROJECT_PATH: 'team/voices', GITLAB_JOB_ID: 'a' },
    });
    expect(Object.keys(fields.params)).not.toContain('job_id');
    expect(Object.keys(fields.params)).not.toContain('canceled');
  });

  test('sets its timeout, and no other setting of its run', () => {
    const fields = submitFieldsOf(
      item({
        ...{ job_type: 'training', timeout: 60, gpus: 8, command_key: 'shell', root: '/etc' },
        ...{ partition: 'ssh', env: { LD_PRELOAD: 'x' }, command: 'reboot' },
      }),
      types,
    );
    expect(fields).toMatchObject({ command_key: 'train_tts', gpus: 0.5, timeout: 60 });
    expect(fields.partition).toBeUndefined();
    expect(fields.command).toBeUndefined();
    expect(fields.env).not.toHaveProperty('LD_PRELOAD');
    expect(fields.params).toMatchObject({ root: '/srv/voices', timeout: 60 });
  });

  test('that is unusable is refused with the name of the field', () => {
    const refused = (fields: Record<string, unknown>) => () => submitFieldsOf(item(fields), types);
    expect(refused({ job_type: 'training', timeout: -1 })).toThrow(
      refusal('bad_request', 'timeout'),
    );
    expect(refused({ job_type: 'training', text: 'x'.repeat(200_000) })).toThrow(
      refusal('bad_request', 'params'),
    );
    expect(refused({ job_type: 'training', text: 'a\0b' })).toThrow(
      refusal('bad_request', 'params'),
    );
    expect(refused({ job_type: 'other' })).toThrow(/job_type: "other"/);
  });
});
