import { appendFile, mkdir, readdir, readlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { until } from '../until.js';
import { TestApi } from './api.js';

let api: TestApi;
let log: string;
let path: string;

beforeEach(async () => {
  api = await TestApi.start();
  const { json } = await api.submit();
  const folder = `${api.layout.jobLogs}/${json.job_id}`;
  await mkdir(folder, { recursive: true });
  log = `${folder}/stdout.log`;
  path = `/jobs/${json.job_id}/log/stream`;
  api.slurm.start(json.slurm_job_id);
});
afterEach(() => api.close());

async function descriptorsOfLog(): Promise<number> {
  let count = 0;
  for (const fd of await readdir('/proc/self/fd'))
    if ((await readlink(`/proc/self/fd/${fd}`).catch(() => '')) === log) count += 1;
  return count;
}

/** Asks for the stream, and leaves once its first bytes are there. */
async function readAndLeave(): Promise<void> {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n`);
  socket.write(`Authorization: ${api.authorization}\r\n\r\n`);
  await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject));
  socket.destroy();
}

test('a thousand readers who left leave no open file', async () => {
  await appendFile(log, 'x'.repeat(16 * 1024 * 1024));
  for (let round = 0; round < 50; round++)
    await Promise.all(Array.from({ length: 20 }, () => readAndLeave()));
  await until('the log is closed', async (saw) => {
    const open = await descriptorsOfLog();
    saw(open);
    return open === 0;
  });
});

test('HEAD of a stream answers at once, also while the job runs', async () => {
  await appendFile(log, 'a line\n');
  const { status, headers } = await api.call('HEAD', path);
  expect(status).toBe(200);
  expect(headers.get('content-type')).toMatch('text/event-stream');
});
