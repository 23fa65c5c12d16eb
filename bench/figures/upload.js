import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { interleave } from '../interleave.js';
import { curl } from './curl.js';

/** @type {import('../main.js').Figure} */
export const upload = {
  name: 'upload',
  how:
    '**upload**: `curl -T` to `PUT /datasets/{sha256}` and `curl -F` to `/datasets/upload`. ' +
    'The rival is `curl -T` to nginx (`dav_methods PUT`, one worker, its temporary file on ' +
    'the same file system). The time is curl’s `time_total`. JobRunner hashes, compares and ' +
    'writes every byte to the disk before it replies. nginx does none of that, so a separate ' +
    'row adds the time until nginx’s file is on the disk, too (`sync FILE`). The dataset is ' +
    'always new: between runs it is deleted, and dirty pages are written out.',
  async measure(workspace) {
    const [stack, nginx, payload] = [
      await workspace.stack(),
      await workspace.nginx(),
      await workspace.payload(),
    ];
    const bearer = ['--header', `Authorization: Bearer ${stack.token}`];
    const dataset = `${stack.url}/datasets/${payload.sha256}`;
    /** @type {number[]} */
    const synced = [];

    /** @param {string[]} args */
    const toJobRunner = async (...args) => {
      const { seconds } = await curl(workspace, [201], [...bearer, ...args]);
      await stack.client.expect(200, 'DELETE', `/datasets/${payload.sha256}`);
      await workspace.settle();
      return seconds;
    };
    const measured = await interleave(workspace, workspace.runs(7), {
      put: () => toJobRunner('--upload-file', payload.path, dataset),
      nginx: async () => {
        const url = `${nginx.url}/payload`;
        const { seconds } = await curl(workspace, [201], ['--upload-file', payload.path, url]);
        const stored = performance.now();
        await workspace.run('sync', [join(nginx.store, 'payload')]);
        synced.push(seconds + (performance.now() - stored) / 1000);
        await curl(workspace, [204], ['--request', 'DELETE', url]);
        await workspace.settle();
        return seconds;
      },
      form: () =>
        toJobRunner(
          ...['--form', `sha256=${payload.sha256}`, '--form', `file=@${payload.path}`],
          `${stack.url}/datasets/upload`,
        ),
    });
    // Drop the value of the warm-up.
    synced.shift();

    const peak = (await stack.peakMemory()) / 1e6;
    const size = `${payload.bytes / 1024 ** 2} MiB`;
    const rival = { name: 'nginx', values: measured.nginx };
    const durable = { name: 'nginx + `sync`', values: synced };
    return [
      { what: `upload of ${size}, \`PUT\``, unit: 's', ours: measured.put, rival, target: 1.15 },
      { what: `upload of ${size}, \`-F\``, unit: 's', ours: measured.form, rival, target: 1.15 },
      {
        what: `upload of ${size}, \`PUT\`, both on the disk`,
        unit: 's',
        ours: measured.put,
        rival: durable,
      },
      { what: 'peak memory of the API after these uploads', unit: 'MB', ours: [peak], target: 200 },
    ];
  },
};
