import { chmod, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { interleave } from '../interleave.js';
import { curl } from './curl.js';

/** @type {import('../main.js').Figure} */
export const download = {
  name: 'download',
  how:
    '**download**: `GET /outputs/download_by_job` of a job’s file against nginx (`sendfile`) ' +
    'with a copy of that file. Both files are in the page cache. The time is `time_total` of ' +
    '`curl -o /dev/null`.',
  async measure(workspace) {
    const [stack, nginx] = [await workspace.stack(), await workspace.nginx()];
    const bytes = workspace.payloadBytes;
    workspace.say('  a job writes the file');
    const job = await stack.runJob(`head -c ${bytes} /dev/urandom > model.pth`);
    // Returns after the output is hashed; otherwise the hashing would run beside the first
    // downloads.
    await stack.client.expect(200, 'GET', `/jobs/${job}/result`);
    const copy = join(nginx.store, 'model.pth');
    await copyFile(join(stack.root, 'results', String(job), 'model.pth'), copy);
    await chmod(copy, 0o644);
    await workspace.settle();

    /** @param {string[]} args */
    const fetched = async (...args) => {
      const { seconds, downloaded } = await curl(workspace, [200], args);
      if (downloaded !== bytes) throw new Error(`${args.at(-1)}: ${downloaded} of ${bytes} bytes`);
      return seconds;
    };
    const { ours, theirs } = await interleave(workspace, workspace.runs(9), {
      ours: () =>
        fetched(
          ...['--header', `Authorization: Bearer ${stack.token}`],
          `${stack.url}/outputs/download_by_job?job_id=${job}&rel_path=model.pth`,
        ),
      theirs: () => fetched(`${nginx.url}/model.pth`),
    });
    const rival = { name: 'nginx', values: theirs };
    return [{ what: `download of ${bytes / 1024 ** 2} MiB`, unit: 's', ours, rival, target: 1.3 }];
  },
};
