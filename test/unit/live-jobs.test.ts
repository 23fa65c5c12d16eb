import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openDatabase, type Database } from '../../src/db/database.js';
import type { JobId } from '../../src/jobs/job.js';
import { LiveJobs } from '../../src/jobs/live-jobs.js';
import { deleteJob, insertJob, liveJobs, updateJob } from '../../src/jobs/store.js';
import { plainRequest } from './script-support.js';

let db: Database;
let live: LiveJobs;

beforeEach(() => {
  db = openDatabase(':memory:');
  live = new LiveJobs(db);
});
afterEach(() => void db.close());

function insert(into = db): JobId {
  return insertJob(into, {
    user: 'u',
    unixUser: null,
    request: plainRequest,
    gpus: null,
    submittedAt: 1,
    idempotencyKey: undefined,
    requestHash: '',
    dedupHash: '',
  });
}

const end = (id: JobId) => updateJob(db, id, { state: 'COMPLETED', terminal: true });
const ids = () => live.all().map((job) => job.job_id);

describe('the live jobs in memory', () => {
  test('match the database after each change', () => {
    const [a, b, c] = [insert(), insert(), insert()];
    expect(live.all()).toEqual(liveJobs(db));
    updateJob(db, b, { state: 'RUNNING', gpu_indices: [1] });
    expect(live.get(b)).toMatchObject({ state: 'RUNNING', gpu_indices: [1] });
    end(a);
    deleteJob(db, c);
    expect(ids()).toEqual([b]);
    expect(live.all()).toEqual(liveJobs(db));
    // A job that lives again is sorted by age.
    updateJob(db, a, { state: 'PENDING', terminal: false });
    expect(ids()).toEqual([a, b]);
    expect(live.all()).toEqual(liveJobs(db));
  });

  test('keep nothing of a transaction that is rolled back, even if they were read in it', () => {
    const kept = insert();
    const undone = db.transaction(() => {
      insert();
      end(kept);
      expect(ids()).toEqual([kept + 1]);
      throw new Error('no room');
    });
    expect(undone).toThrow('no room');
    expect(ids()).toEqual([kept]);
    expect(live.all()).toEqual(liveJobs(db));
  });

  test('are there from the start', () => {
    const other = openDatabase(':memory:');
    const id = insert(other);
    expect(new LiveJobs(other).all()).toMatchObject([{ job_id: id, state: 'SUBMITTING' }]);
    other.close();
  });
});
