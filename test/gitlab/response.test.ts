import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { lastLines } from '../../src/ingest/gitlab/log-lines.js';
import {
  claimedResponse,
  readResponse,
  reportedResponse,
} from '../../src/ingest/gitlab/response.js';
import { neverRun, type Outcome } from '../../src/ingest/outcome.js';
import type { JobId } from '../../src/jobs/job.js';

const claim = {
  worker: 'box-1',
  nonce: '00112233445566778899001122334455',
  leaseUntil: Date.parse('2026-01-31T12:15:00Z'),
};
const at = '2026-01-31T12:00:00.000Z';
const untouched = { jobId: null, state: null };
const bytes = (text: string) => Buffer.from(text);
const parsed = (text: string) => parse(text, { version: '1.1' }) as Record<string, unknown>;

const outcome = (more: Partial<Outcome>): Outcome => ({
  ...neverRun(false, ''),
  ...{ status: 'COMPLETED', jobId: 7 as JobId, exitCode: 0, failure: null, message: null },
  ...more,
});
const report = (more: Partial<Outcome>) =>
  reportedResponse('a', claim, outcome(more), { claimedAt: at, reportedAt: Date.parse(at) });

describe('response.yaml', () => {
  test('names the claiming server and the lease, and reads back the same', () => {
    const text = claimedResponse('job_001', claim, untouched, at);
    expect(parsed(text)).toEqual({
      job_id: 'job_001',
      status: 'CLAIMED',
      worker: 'box-1',
      nonce: claim.nonce,
      claimed_at: at,
      lease_until: '2026-01-31T12:15:00.000Z',
    });
    expect(readResponse(bytes(text))).toEqual({ ...claim, claimedAt: at });
    expect(readResponse(bytes(text.replaceAll('\n', '\r\n')))).toEqual({ ...claim, claimedAt: at });
  });

  test('has no lease once it holds the outcome', () => {
    expect(readResponse(bytes(report({})))).toEqual({
      ...{ worker: claim.worker, nonce: claim.nonce },
      ...{ claimedAt: at, leaseUntil: undefined },
    });
  });

  test('keeps a long line of the log that was cut inside a character', () => {
    const log = `${'a'.repeat(399)}😀😀\nlease_until: 2020-01-01T00:00:00Z\n`;
    const text = report({ log });
    expect(parsed(text)['log']).toMatch(/^a{399}…\nlease_until: 2020-01-01T00:00:00Z$/);
    expect(readResponse(bytes(text))?.leaseUntil).toBeUndefined();
  });

  test('of another program is a claim that never expires', () => {
    for (const text of ['', 'status: running', 'nonce: [a]\nworker: b', 'x: &a [*a]', '\0\xff'])
      expect(readResponse(bytes(text))).toBeUndefined();
    const ours = claimedResponse('a', claim, untouched, at);
    expect(readResponse(bytes(`${ours}nonce: another\n`))).toBeUndefined();
    expect(
      readResponse(bytes(ours.replace(/lease_until: .*/, 'lease_until: soon'))),
    ).toBeUndefined();
    expect(readResponse(bytes(ours + ' '.repeat(300_000)))).toBeUndefined();
  });

  test('is YAML that reads back unchanged, whatever a job prints or calls its files', () => {
    const odd = '\x1b[2J\x07 "quote": - {a} # \u2028 \u202e \ud800 \ufffe é 🙂';
    const log = `${odd}\n  indented\n---\nnonce: 11112222333344445555666677778888\n\tkey: value`;
    const text = report({
      log,
      message: odd,
      warnings: [odd],
      outputs: [{ id: 'm', path: odd, kind: 'file', size: 1, sha256: 'ab', url: null }],
    });
    expect(text).not.toMatch(/[^\P{Cc}\n\t]|[\u2028\u202e\ufffe]/u);
    const read = parsed(text);
    expect(read['log']).toBe(lastLines(log));
    expect(read['log']).toContain('\\x1b[2J\\x07 "quote": - {a} #');
    expect(readResponse(bytes(text))?.nonce).toBe(claim.nonce);
  });

  test('holds a limited number of outputs and counts the rest', () => {
    const outputs = Array.from({ length: 250 }, (_, i) => ({
      ...{ id: `o${i}`, path: `o${i}.pt`, kind: 'file' as const, size: 1 },
      ...{ sha256: 'ab', url: null },
    }));
    const read = parsed(report({ outputs }));
    expect(read['outputs']).toHaveLength(200);
    expect(read['outputs_left_out']).toBe(50);
  });
});

describe('the last lines of a log', () => {
  test('are at most 50 of at most 400 characters, 8,000 in all', () => {
    const lines = Array.from({ length: 100 }, (_, i) => `line ${i}`);
    expect(lastLines(lines.join('\n')).split('\n')).toEqual(lines.slice(50));
    expect(lastLines('x'.repeat(5000))).toBe(`${'x'.repeat(400)}…`);
    expect(lastLines(`${'y'.repeat(400)}\n`.repeat(50)).length).toBeLessThanOrEqual(8000);
  });

  test('show the last state of a progress bar', () => {
    expect(lastLines('10 %\r20 %\r100 %\ndone\r\n\n')).toBe('100 %\ndone');
    expect(lastLines('50 %\r60 %\r')).toBe('60 %\\x0d');
    expect(lastLines('')).toBe('');
  });
});
