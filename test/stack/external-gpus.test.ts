import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { untilTold } from './gpu-jobs.js';
import type { LiveStack } from './live-stack.js';
import { ExternalApi } from './external-api.js';
import { mixedPlan } from './external-plan.js';
import { ExternalCluster } from './external-cluster.js';
import { until } from '../until.js';

let cluster: ExternalCluster;
let stacks: Record<string, LiveStack>;

beforeAll(async () => {
  cluster = await ExternalCluster.start(mixedPlan);
  const api = new ExternalApi(cluster);
  await api.putGoodToken();
  stacks = await api.startBothWays();
});

afterAll(async () => {
  await Promise.all(Object.values(stacks ?? {}).map((stack) => stack.remove()));
  await cluster?.remove();
});

describe.each(['commands', 'rest'])(
  'over the %s of an external cluster without accounting, with GPUs of several types and shares of them',
  (way) => {
    const stack = () => stacks[way] as LiveStack;
    const slow = async (fields: object) => {
      const told = { command_key: 'shell', command: untilTold, mem_gb: 0.1, ...fields };
      const { status, json, text } = await stack().submit(told);
      if (status !== 201) throw new Error(text);
      await stack().until(json.job_id, 'RUNNING');
      return json.job_id;
    };
    const end = async (...ids: number[]) => {
      for (const id of ids) writeFileSync(join(stack().root, 'results', String(id), 'end'), '');
      return Promise.all(ids.map((id) => stack().finish(id)));
    };
    const gpusOf = async (name: string) => {
      const { json } = await stack().call<{ nodes: { node: string }[] }>('GET', '/gpus');
      return json.nodes.find(({ node }) => node === name);
    };

    test('its health is good, and the start names the missing features', async () => {
      const { status, json } = await stack().call('GET', '/health');
      expect([status, json]).toMatchObject([200, { status: 'ok', slurmdbd: 'none' }]);
      expect(stack().stderr).toMatch(/keeps no history of jobs/);
    });

    test('its GPUs are shown by type, with those in use', async () => {
      const shared = await slow({ gpus: 0.5, gpu_type: 'a100', partition: 'mixed' });
      const whole = await slow({ gpus: 1, gpu_type: 'v100', partition: 'mixed' });
      const type = (name: string | null, count: number, used: number) => ({
        ...{ type: name, count, used },
      });
      expect(await gpusOf('m1')).toMatchObject({
        types: [type('a100', 2, 0), type('v100', 1, 1)],
        shards: { count: 1032 },
      });
      const { shards } = (await gpusOf('m1')) as unknown as { shards: { used: number | null } };
      // 22.05 does not report them; later versions do.
      expect([null, 2]).toContain(shards.used);
      await end(shared, whole);
      await until('they are free again', async () =>
        /"used":0}/.test(JSON.stringify(await gpusOf('m1'))),
      );
      expect(await gpusOf('m2')).toMatchObject({
        types: [type(null, 2, 0)],
        shards: { count: 8, used: 0 },
      });
    });

    test('whole GPUs and shares of any type are given as requested', async () => {
      const given = async (fields: object) => {
        const job = await stack().shell('true', { partition: 'mixed', ...fields });
        const { status, gres, node } = job as unknown as Record<string, string>;
        return `${status} ${gres} ${node}`;
      };
      const asked = [
        { gpus: 0.5, gpu_type: 'a100' },
        { gpus: 0.25, gpu_type: 'v100' },
        { gpus: 3 },
        { gpus: 2, gpu_type: 'a100' },
        { gpus: 0.3, partition: 'cpu' },
        { gpus: 2, partition: 'cpu' },
      ];
      expect(await Promise.all(asked.map(given))).toEqual([
        'COMPLETED shard:a100:2 m1',
        'COMPLETED shard:v100:256 m1',
        'COMPLETED gpu:3 m1',
        'COMPLETED gpu:a100:2 m1',
        'COMPLETED shard:2 m2',
        'COMPLETED gpu:2 m2',
      ]);
    });

    test('unknown types, and shares of untyped GPUs by type, are refused', async () => {
      for (const fields of [
        { gpus: 1, gpu_type: 'h100', partition: 'mixed' },
        { gpus: 0.5, gpu_type: 'a100', partition: 'cpu' },
        { gpus: 2, gpu_type: 'v100', partition: 'mixed' },
      ]) {
        const { status } = await stack().submit({
          command_key: 'shell',
          command: 'true',
          ...fields,
        });
        expect(status).toBe(422);
      }
    });

    test('a job that ends while the API is away is found as long as slurmctld remembers it', async () => {
      const id = await slow({ partition: 'cpu' });
      const failing = await stack().submit({
        ...{ command_key: 'shell', mem_gb: 0.1, partition: 'cpu' },
        command: `${untilTold}; exit 4`,
      });
      await stack().until(failing.json.job_id, 'RUNNING');
      await stack().down();
      for (const one of [id, failing.json.job_id])
        writeFileSync(join(stack().root, 'results', String(one), 'end'), '');
      const live = () =>
        cluster.command('squeue', '-h', '-u', way === 'rest' ? 'runner' : 'jobrunner');
      await until('they have ended', async () => (await live()) === '');
      await stack().up();
      expect(await stack().finish(id)).toMatchObject({ status: 'COMPLETED', exit_code: 0 });
      expect(await stack().finish(failing.json.job_id)).toMatchObject({
        ...{ status: 'FAILED', exit_code: 4 },
      });
    });
  },
);
