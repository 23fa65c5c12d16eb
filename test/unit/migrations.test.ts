import { expect, test } from '@jest/globals';
import SqliteDatabase from 'better-sqlite3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listPauses } from '../../src/cluster/gpus/pause-store.js';
import { NODE_NAME } from '../../src/config/layout.js';
import { openDatabase } from '../../src/db/database.js';
import { migrations } from '../../src/db/migrations/index.js';
import type { JobId } from '../../src/jobs/job.js';
import { deleteJob, findJob, liveJobs, scriptOf } from '../../src/jobs/store.js';

/**
 * Runs `work` on a database that the first `count` migrations made, with the rows that `fill` adds.
 */
function onOlderDatabase(
  count: number,
  fill: string,
  work: (db: ReturnType<typeof openDatabase>) => void,
): void {
  const folder = mkdtempSync(join(tmpdir(), 'jr-migrations-'));
  const path = join(folder, 'old.db');
  try {
    const old = new SqliteDatabase(path);
    for (const sql of migrations.slice(0, count)) old.exec(sql);
    old.pragma(`user_version = ${count}`);
    old.exec(fill);
    old.close();
    const db = openDatabase(path);
    work(db);
    db.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const jobSql = (script: string) =>
  `INSERT INTO jobs (comment, command_key, experiment_id, name, request, script, state, submitted_at)
   VALUES ('${script}', 'shell', 'e', 'n', '{"command_key":"shell","args":["x"]}', '${script}', 'PENDING', 0);`;

test('jobs from before the table of scripts keep their scripts', () => {
  onOlderDatabase(12, jobSql('first') + jobSql('second'), (db) => {
    expect([1, 2].map((id) => scriptOf(db, id as JobId))).toEqual(['first', 'second']);
    expect(findJob(db, 2 as JobId)).toMatchObject({ state: 'PENDING', request: { args: ['x'] } });
    expect(db.prepare("SELECT name FROM pragma_table_info('jobs')").pluck().all()).not.toContain(
      'script',
    );
    deleteJob(db, 1 as JobId);
    expect(scriptOf(db, 1 as JobId)).toBeUndefined();
    expect(liveJobs(db)).toHaveLength(1);
  });
});

test('jobs from before GPUs were stored as data get that data', () => {
  const gresOf = [null, 'shard:50', 'shard:nvidia2:60', 'shard:h100_3:100,shard:h100_12:100'];
  const all = ['gpu:a100:2', ...gresOf];
  const sql = all.map(
    (gres, i) =>
      `${jobSql(`s${i}`)} UPDATE jobs SET gres = ${gres && `'${gres}'`} WHERE job_id = ${i + 1};`,
  );
  onOlderDatabase(12, sql.join(''), (db) => {
    expect(liveJobs(db).map((job) => job.gpu_shards)).toEqual([
      null,
      null,
      { on: [], shards: 50 },
      { on: [2], shards: 60 },
      { on: [3, 12], shards: 100 },
    ]);
  });
});

test('of two live jobs with one number of Slurm’s, the older one has ended', () => {
  const job = (script: string, number: number | null, terminal = 0) =>
    `${jobSql(script)} UPDATE jobs SET slurm_job_id = ${number}, terminal = ${terminal} WHERE script = '${script}';`;
  const sql =
    job('ended', 44, 1) + job('lost', 44) + job('has it', 44) + job('none', null) + job('no', null);
  onOlderDatabase(12, sql, (db) => {
    expect(liveJobs(db).map(({ job_id: id }) => id)).toEqual([3, 4, 5]);
    expect(findJob(db, 2 as JobId)).toMatchObject({ state: 'NODE_FAIL', failure: 'node' });
  });
});

test('pauses of before this machine and the workers had one table stay', () => {
  const sql = `
    INSERT INTO gpu_pauses VALUES (2, 'fan is loud', 'admin', 1700000000000);
    INSERT INTO worker_gpu_pauses VALUES ('worker1', 2, 'new driver', 'ann', 1700000000001);`;
  onOlderDatabase(18, sql, (db) => {
    expect(listPauses(db)).toEqual([
      {
        node: NODE_NAME,
        gpu_index: 2,
        reason: 'fan is loud',
        paused_by: 'admin',
        paused_at: 1700000000000,
      },
      {
        node: 'worker1',
        gpu_index: 2,
        reason: 'new driver',
        paused_by: 'ann',
        paused_at: 1700000000001,
      },
    ]);
  });
});
