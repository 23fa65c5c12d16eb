import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Authenticator } from '../../src/auth/authenticator.js';
import { Tokens } from '../../src/auth/tokens.js';
import { openDatabase, type Database } from '../../src/db/database.js';
import type { AppError } from '../../src/errors.js';

let folder: string;
let db: Database;
let tokens: Tokens;
let now: number;
let authenticator: Authenticator;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-authenticator-'));
  db = openDatabase(join(folder, 'db'));
  now = Date.now();
  const log = pino({ level: 'silent' });
  tokens = new Tokens({ db, authToken: 'the-owner-s-own', log, now: () => now });
  authenticator = new Authenticator(tokens);
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

/**
 * Counts the simultaneous requests whose token was checked, and the others.
 */
async function attempts(given: string[]): Promise<{ unauthorized: number; tooMany: number }> {
  const codes = await Promise.all(
    given.map((token) =>
      authenticator.check(token, '192.0.2.1').then(
        () => 'good',
        (error: unknown) => (error as AppError).code,
      ),
    ),
  );
  const count = (code: string) => codes.filter((one) => one === code).length;
  return { unauthorized: count('unauthorized'), tooMany: count('too_many_attempts') };
}

test('no more wrong tokens are checked at once than one after another', async () => {
  const guesses = Array.from({ length: 500 }, (_, i) => `guess-${i}`);
  expect(await attempts(guesses)).toEqual({ unauthorized: 10, tooMany: 490 });
});

test('a revoked token counts as wrong, even if it was valid from there', async () => {
  const { token, view } = tokens.create({ user: 'eve', role: 'user', days: 1, createdBy: 'admin' });
  expect(await authenticator.check(token, '192.0.2.1')).toMatchObject({ user: 'eve' });
  tokens.revoke(view.token_id);
  expect(await attempts(Array<string>(5).fill(token))).toEqual({ unauthorized: 5, tooMany: 0 });
  expect(await attempts(Array<string>(20).fill(token))).toEqual({ unauthorized: 5, tooMany: 15 });
});

test('a revoked or expired token is noticed during the request', async () => {
  const one = tokens.create({ user: 'eve', role: 'user', days: 1, createdBy: 'admin' });
  const other = tokens.create({ user: 'eve', role: 'user', days: 2, createdBy: 'admin' });
  const caller = await authenticator.check(one.token, '192.0.2.1');
  const second = await authenticator.check(other.token, '192.0.2.1');
  expect([caller, second].map((who) => authenticator.stillHolds(who))).toEqual([true, true]);
  now += 25 * 60 * 60 * 1000;
  expect([caller, second].map((who) => authenticator.stillHolds(who))).toEqual([false, true]);
  tokens.revoke(other.view.token_id);
  expect(authenticator.stillHolds(second)).toBe(false);
});
