import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { SlurmError } from '../../src/cluster/slurm/command.js';
import { TestApi, token } from './api.js';

let api: TestApi;
beforeEach(async () => {
  // As short as a proxy's own time-out never is: the test waits for it.
  api = await TestApi.start({ JR_PROXY_WAIT: '1' });
});
afterEach(() => api.close());

/** Submits a job while Slurm is away. */
async function submitLater(): Promise<number> {
  api.slurm.failure = new SlurmError('unreachable', 'Unable to contact slurm controller');
  const { status, json } = await api.submit();
  expect(status).toBe(202);
  return json.job_id;
}

test('a wait for a job ends when Slurm refuses the job later', async () => {
  const id = await submitLater();
  const waiting = api.call('GET', `/jobs/${id}?wait=300`);
  api.slurm.refusal = new SlurmError('refused', 'Invalid account');
  api.slurm.failure = undefined;
  expect((await waiting).json).toMatchObject({ status: 'REJECTED', failure: 'submit' });
});

test('a wait for a job ends when the job is cancelled before Slurm has it', async () => {
  const id = await submitLater();
  const waiting = api.call('GET', `/jobs/${id}?wait=300`);
  await api.call('POST', `/jobs/${id}/cancel`);
  expect((await waiting).json).toMatchObject({ status: 'CANCELLED', failure: 'cancelled' });
});

test.each(['X-Forwarded-For', 'Via', 'Forwarded'])(
  'a wait through a proxy that adds %s ends before the proxy gives up',
  async (header) => {
    const { json } = await api.submit();
    const path = `/jobs/${json.job_id}?wait=300`;
    const reply = await api.call('GET', path, undefined, { [header]: '192.0.2.1' });
    expect(reply).toMatchObject({ status: 200, json: { status: 'PENDING' } });
    expect(reply.headers.get('retry-after')).toBe('0');
  },
);

test('a wait over HTTP/1.0, nginx’s default, ends before the proxy gives up', async () => {
  const { json } = await api.submit();
  const socket = connect(api.port, '127.0.0.1');
  socket.write(
    `GET /jobs/${json.job_id}?wait=300 HTTP/1.0\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 .*\r\nRetry-After: 0\r\n/s);
});

test('a wait that lasts until the job’s end does not ask the caller to come again', async () => {
  const { json } = await api.submit();
  api.slurm.start(json.slurm_job_id);
  api.slurm.end(json.slurm_job_id);
  const path = `/jobs/${json.job_id}?wait=300`;
  const ended = await api.call('GET', path);
  expect(ended.json).toMatchObject({ status: 'COMPLETED' });
  expect(ended.headers.get('retry-after')).toBeNull();
});
