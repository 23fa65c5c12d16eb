import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, rmdirSync, statSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../until.js';
import { TestApi } from './api.js';

// Filling a disk needs the right to mount one; all tests run as root.
describe('on a full disk', () => {
  let disk: string;
  let api: TestApi;
  const reserveOf = () => `${api.layout.database}.reserve`;
  const filler = () => join(disk, 'filler');

  beforeEach(async () => {
    disk = mkdtempSync(join(tmpdir(), 'jr-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=192m', 'tmpfs', disk]);
    api = await TestApi.start({}, undefined, disk);
    await until('the room is kept', () => {
      const reserve = statSync(reserveOf(), { throwIfNoEntry: false });
      return reserve?.size === 8 * 2 ** 20;
    });
  });
  afterEach(async () => {
    await api.close();
    execFileSync('umount', [disk]);
    rmdirSync(disk);
  });

  const free = () => statfsSync(disk).bavail * statfsSync(disk).bsize;

  /** Takes the last byte, as a job would. */
  function fill(): void {
    execFileSync('fallocate', ['-l', String(free()), filler()]);
    expect(free()).toBe(0);
  }

  const node = () => api.slurm.nodeList[0];
  const untilNode = (what: string, state: string, reason: RegExp | null) =>
    until(what, (saw) => {
      saw(node());
      const found = node()?.reason ?? null;
      return (
        node()?.state === state && (reason === null ? found === null : reason.test(found ?? ''))
      );
    });

  async function running() {
    const { json } = await api.submit();
    api.slurm.start(json.slurm_job_id);
    await until('the job runs', async () => {
      return (await api.call('GET', `/jobs/${json.job_id}`)).json.status === 'RUNNING';
    });
    return json;
  }

  test('jobs are cancelled and deleted, their ends are told, and datasets are deleted', async () => {
    const bytes = randomBytes(1000);
    const sha = createHash('sha256').update(bytes).digest('hex');
    await api.call('PUT', `/datasets/${sha}`, new Uint8Array(bytes));
    const [cancelled, completed] = [await running(), await running()];
    fill();

    const reply = await api.call('POST', `/jobs/${cancelled.job_id}/cancel`);
    expect(reply).toMatchObject({ status: 200, json: { status: 'CANCELLED' } });
    expect((await api.call('DELETE', `/jobs/${cancelled.job_id}`)).status).toBe(204);
    api.slurm.end(completed.slurm_job_id);
    const ended = await api.call('GET', `/jobs/${completed.job_id}?wait=60`);
    expect(ended.json.status).toBe('COMPLETED');
    expect((await api.call('DELETE', `/datasets/${sha}`)).status).toBe(200);
    expect(free()).toBeLessThan(32 * 2 ** 20);
  });

  test('no job starts until there is room', async () => {
    fill();
    await untilNode('the node is drained', 'drained', /^disk: /);
    expect(await api.submit()).toMatchObject({
      status: 507,
      json: { error: { code: 'disk_full' } },
    });
    const health = await api.call('GET', '/health');
    expect(health.json).toMatchObject({ node: 'drained', drained_nodes: ['box0'], disk: 'full' });
    rmSync(filler());
    await untilNode('the node takes jobs', 'idle', null);
    expect((await api.submit()).status).toBe(201);
  });

  test('a node that Slurm itself drained for it takes jobs again', async () => {
    fill();
    await untilNode('the node is drained', 'drained', /^disk: /);
    await api.slurm.drainNode('box0', 'batch job complete failure');
    await untilNode('the drain is known to be for the disk', 'drained', /^disk: /);
    rmSync(filler());
    await untilNode('the node takes jobs', 'idle', null);
  });

  test('a node that somebody drained stays drained', async () => {
    await api.slurm.drainNode('box0', 'maintenance');
    fill();
    await until('the disk is known to be full', async () => (await api.submit()).status === 507);
    rmSync(filler());
    await until('the disk is known to have room', async () => (await api.submit()).status === 201);
    expect(node()).toMatchObject({ state: 'drained', reason: 'maintenance' });
    const { json } = await api.call<{ status: string }>('GET', '/health');
    expect(json).toMatchObject({ drained_nodes: ['box0'] });
  });

  test('the service starts with the room that it kept', async () => {
    await api.restart(fill);
    expect((await api.call('GET', '/jobs')).status).toBe(200);
    expect(existsSync(reserveOf())).toBe(false);
  });
});
