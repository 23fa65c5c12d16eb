import { afterEach, beforeEach, expect, test } from '@jest/globals';
import SqliteDatabase from 'better-sqlite3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuditLog, type AuditEntry } from '../../src/auth/audit-log.js';
import { auditShares } from '../../src/db/migrations/010-audit-shares.js';
import { migrations } from '../../src/db/migrations/index.js';
import { openDatabase, type Database } from '../../src/db/database.js';

let folder: string;
let db: Database;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-audit-'));
  db = openDatabase(join(folder, 'db'));
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

const alice = { user: 'alice', role: 'user', tokenId: 1 } as const;
const owner = { user: 'admin', role: 'admin', tokenId: null } as const;

function entry(more: Partial<AuditEntry>): AuditEntry {
  const request = { address: '192.0.2.1', method: 'POST', path: '/jobs', status: 201 };
  return { at: 1_000_000, caller: alice, ...request, subject: null, ...more };
}

const rows = () =>
  db
    .prepare<[], { user: string | null; path: string; times: number; last_at: number | null }>(
      'SELECT user, path, times, last_at FROM audit ORDER BY audit_id',
    )
    .all();

test('a user’s refused calls push out neither other users’ rows nor the user’s own changes', () => {
  const log = new AuditLog(db, { refused: 10, did: 10, strangers: 10 });
  log.write(entry({ caller: owner, path: '/tokens', subject: 'token 1 of alice' }));
  log.write(entry({ caller: { ...alice, user: 'bob' }, subject: 'job 1' }));
  log.write(entry({ subject: 'job 2' }));
  for (let i = 0; i < 2000; i++) {
    log.write(entry({ path: `/jobs/${i}/cancel`, status: 404 }));
    log.write(entry({ caller: undefined, path: `/x${i}`, status: 401 }));
  }
  const kept = rows();
  expect(kept.slice(0, 3).map((row) => row.user)).toEqual(['admin', 'bob', 'alice']);
  // Pruned from time to time, not with every row.
  expect(kept.length).toBeLessThan(3 + 2 * 520);
  expect(kept.some((row) => row.path === '/jobs/1999/cancel')).toBe(true);
  expect(kept.some((row) => row.path === '/jobs/0/cancel')).toBe(false);
});

test('a user’s flood of changes leaves other users’ rows', () => {
  const log = new AuditLog(db, { did: 10 });
  log.write(entry({ caller: { ...alice, user: 'bob' }, subject: 'job 1' }));
  for (let i = 0; i < 1500; i++) log.write(entry({ subject: `job ${i}` }));
  expect(rows().filter((row) => row.user === 'bob')).toHaveLength(1);
  expect(rows().length).toBeLessThan(520);
});

test('a request repeated within minutes is counted in its row; a later one gets a new row', () => {
  const log = new AuditLog(db);
  const refused = entry({ path: '/tokens', status: 403 });
  for (const at of [1_000_000, 1_001_000, 1_002_000]) log.write({ ...refused, at });
  log.write({ ...refused, at: 1_002_000, path: '/gpus/0/pause' });
  log.write({ ...refused, at: 1_003_000 });
  expect(rows()).toEqual([
    { user: 'alice', path: '/tokens', times: 4, last_at: 1_003_000 },
    { user: 'alice', path: '/gpus/0/pause', times: 1, last_at: null },
  ]);
  log.write({ ...refused, at: 9_000_000 });
  expect(rows()).toHaveLength(3);
});

test('rows from before shares existed are kept, and belong to a share', () => {
  const path = join(folder, 'older');
  const older = new SqliteDatabase(path);
  const before = migrations.indexOf(auditShares);
  for (const sql of migrations.slice(0, before)) older.exec(sql);
  older.pragma(`user_version = ${before}`);
  const insert = older.prepare(
    "INSERT INTO audit (at, user, address, method, path, status) VALUES (1, ?, '', 'POST', '/jobs', ?)",
  );
  insert.run('alice', 201);
  insert.run('alice', 403);
  insert.run('admin', 201);
  insert.run(null, 401);
  older.close();
  const newer = openDatabase(path);
  const shares = newer.prepare('SELECT share FROM audit ORDER BY audit_id').pluck().all();
  newer.close();
  expect(shares).toEqual(['did:alice', 'refused:alice', 'admin:admin', 'strangers']);
});
