import { cutOffUploads } from '../cut-off.js';
import { Stack } from '../stack.js';
import { curl } from './curl.js';

const target = 200;
const cutOffs = 300;

/** @type {import('../main.js').Figure} */
export const memory = {
  name: 'memory',
  how:
    '**memory**: `VmHWM` in `/proc/<pid>/status` of the `serve` process. It is read after the ' +
    'uploads alone, and again after all the figures above and one more round of uploads, ' +
    `\`PUT\` and \`-F\`, two at once. A separate JobRunner is measured after ${cutOffs} uploads ` +
    'of 3 MiB, 20 at once, each cut off at a random byte. That row has no target, since the ' +
    'peak depends on the moment when V8 collects the buffers. A test checks that no buffer ' +
    'stays in use. MB are 10^6 bytes.',
  async measure(workspace) {
    const [stack, payload] = [await workspace.stack(), await workspace.payload()];
    const bearer = ['--header', `Authorization: Bearer ${stack.token}`];
    const url = `${stack.url}/datasets`;
    // Another upload may have created the dataset first.
    const created = [200, 201];
    const form = ['--form', `sha256=${payload.sha256}`, '--form', `file=@${payload.path}`];
    await Promise.all([
      curl(workspace, created, [
        ...bearer,
        '--upload-file',
        payload.path,
        `${url}/${payload.sha256}`,
      ]),
      curl(workspace, created, [...bearer, ...form, `${url}/upload`]),
    ]);
    const peak = (await stack.peakMemory()) / 1e6;
    return [
      { what: 'peak memory of the API after all of it', unit: 'MB', ours: [peak], target },
      {
        what: `peak memory of an API after ${cutOffs} uploads that were cut off`,
        unit: 'MB',
        ours: [await peakAfterCutOffs(workspace)],
      },
    ];
  },
};

/** @param {import('../workspace.js').Workspace} workspace */
async function peakAfterCutOffs(workspace) {
  const stack = await Stack.start(workspace, 'cut-off');
  try {
    await cutOffUploads(stack, cutOffs);
    return (await stack.peakMemory()) / 1e6;
  } finally {
    await stack.down();
  }
}
