import { fork } from 'node:child_process';
import { once } from 'node:events';
import { URL, fileURLToPath } from 'node:url';
import { GitLabStandIn } from '../gitlab-stand-in.js';

const projects = 1000;
const manifests = 250;
const changed = 100;
/** Factor of projects in a second measurement, which shows their cost. */
const more = 4;
const requestsTarget = 1.15;
const growthTarget = 1.2;

/** @type {import('../main.js').Figure} */
export const gitlabScan = {
  name: 'gitlab',
  how:
    '**gitlab**: `ProjectScanner`, in its own process, scans a stand-in for GitLab. The ' +
    `stand-in keeps ${projects} projects in memory, ${manifests} of them with a manifest of ` +
    `20 jobs. Before each counted scan, ${changed} manifests change. The stand-in counts all ` +
    'requests, with those for the list of projects. Memory in use is V8’s heap and buffers ' +
    `after a garbage collection; the peak is \`VmHWM\`. ${projects} projects are compared with ` +
    `${more} times as many projects and no more manifests. MB are 10^6 bytes.`,
  async measure(workspace) {
    const scans = workspace.runs(7);
    const few = await measureScans(workspace, projects, scans);
    const many = await measureScans(workspace, projects * more, 2);
    return [
      {
        what: `requests of a scan of ${projects} GitLab projects, ${projects - changed} unchanged`,
        unit: 'requests',
        ours: few.requests,
        rival: { name: 'projects', values: few.requests.map(() => projects) },
        target: requestsTarget,
      },
      {
        what: `memory in use after ${scans} such scans`,
        unit: 'MB',
        ours: [(few.heaps.at(-1) ?? NaN) / 1e6],
        rival: { name: 'after the first', values: [(few.heaps[0] ?? NaN) / 1e6] },
        target: growthTarget,
      },
      {
        what: `memory in use after scans of ${projects * more} GitLab projects`,
        unit: 'MB',
        ours: [(many.heaps.at(-1) ?? NaN) / 1e6],
        rival: { name: `of ${projects}`, values: [(few.heaps.at(-1) ?? NaN) / 1e6] },
        target: growthTarget,
      },
      {
        what: `peak memory of scans of ${projects * more} GitLab projects`,
        unit: 'MB',
        ours: [many.peak / 1e6],
        rival: { name: `of ${projects}`, values: [few.peak / 1e6] },
      },
    ];
  },
};

/**
 * @param {import('../workspace.js').Workspace} workspace
 * @param {number} count of projects
 * @param {number} scans that count
 */
async function measureScans(workspace, count, scans) {
  workspace.say(`  ${scans + 1} scans of ${count} projects`);
  const gitlab = await GitLabStandIn.start(count, manifests);
  const program = fileURLToPath(new URL('../gitlab-scan.js', import.meta.url));
  const child = fork(program, [gitlab.url], {
    execArgv: ['--expose-gc'],
    signal: workspace.signal,
  });
  try {
    const scan = async (/** @type {number} */ unchanged) => {
      child.send('scan');
      const died = once(child, 'exit').then(() => Promise.reject(new Error('the scanner died')));
      const [result] = await Promise.race([once(child, 'message'), died]);
      const jobs = manifests * 15;
      if (result.projects !== count || result.jobs !== jobs || result.unchanged !== unchanged)
        throw new Error(`the scan found ${JSON.stringify(result)}`);
      return result;
    };
    await scan(count - manifests);
    const requests = [];
    const heaps = [];
    let peak = 0;
    for (let i = 0; i < scans; i++) {
      gitlab.push(changed);
      gitlab.requests = 0;
      const result = await scan(count - changed);
      requests.push(gitlab.requests);
      heaps.push(result.heap);
      peak = result.peak;
    }
    return { requests, heaps, peak };
  } finally {
    child.removeAllListeners('exit');
    child.kill();
    await gitlab.close();
  }
}
