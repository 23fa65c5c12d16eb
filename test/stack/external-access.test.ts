import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer as createPlainServer, request } from 'node:http';
import { createServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { untilTold } from './gpu-jobs.js';
import type { LiveStack } from './live-stack.js';
import { freePorts } from '../free-ports.js';
import { runStackOnce } from './live-stack.js';
import { ownedRoot, ExternalApi } from './external-api.js';
import { ExternalCluster } from './external-cluster.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

let cluster: ExternalCluster;
let api: ExternalApi;

beforeAll(async () => {
  cluster = await ExternalCluster.start();
  api = new ExternalApi(cluster);
  await api.putGoodToken();
});

afterAll(async () => {
  await cluster?.remove();
});

/** Starts the API; removes it afterwards. */
async function withStack(
  settings: Record<string, string>,
  use: (stack: LiveStack) => Promise<void>,
) {
  const stack = await api.start(settings);
  try {
    await use(stack);
  } finally {
    await stack.remove();
  }
}

describe('over slurmrestd', () => {
  let rest: LiveStack;
  beforeAll(async () => {
    rest = await api.start(api.viaRest());
  });
  afterAll(() => rest?.remove());
  const submit = () => rest.submit({ command_key: 'shell', command: 'echo once >>n; cat n' });

  test.each([
    [
      'an expired token',
      async () => {
        const token = await cluster.token('runner', 1);
        const claims = JSON.parse(
          Buffer.from(token.split('.')[1] ?? '', 'base64url').toString(),
        ) as { exp: number };
        await until('it has expired', () => Date.now() / 1000 > claims.exp);
        return token;
      },
    ],
    [
      'a token of another key',
      () =>
        Promise.resolve(
          'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjk5OTk5OTk5OTksInN1biI6InJ1bm5lciJ9.bm90IHRoZSBrZXk',
        ),
    ],
  ])(
    'with %s, jobs wait, and run once as soon as the file holds a valid token',
    async (_what, make) => {
      api.putToken(await make());
      try {
        const waiting = await submit();
        expect(waiting.status).toBe(202);
        await api.putGoodToken();
        expect(await rest.finish(waiting.json.job_id)).toMatchObject({ log: 'once\n' });
      } finally {
        await api.putGoodToken();
      }
    },
  );

  test('while slurmrestd is down jobs wait, and run once when it is back', async () => {
    await cluster.stop('slurmrestd');
    const waiting = await submit();
    expect(waiting.status).toBe(202);
    await cluster.startRest();
    expect(await rest.finish(waiting.json.job_id)).toMatchObject({ log: 'once\n' });
  });

  test('a job cannot be requeued, and the error names the alternative', async () => {
    const { json } = await rest.submit({ command_key: 'shell', command: untilTold });
    await rest.until(json.job_id, 'RUNNING');
    const refusedRequeue = await rest.call('POST', `/jobs/${json.job_id}/requeue`);
    expect(refusedRequeue).toMatchObject({
      status: 501,
      json: { error: refusal('not_supported') },
    });
    await rest.call('POST', `/jobs/${json.job_id}/cancel`);
  });

  test('the API reaches slurmrestd at a socket', async () => {
    const settings = { ...api.viaRest(), JR_SLURMRESTD_URL: `unix:${cluster.restSocket}` };
    await withStack(settings, async (stack) => {
      expect(await stack.shell('id -un')).toMatchObject({ log: 'runner\n', status: 'COMPLETED' });
    });
  });

  test('a job with an unknown format in the reply keeps its state, and hides no other job', async () => {
    // A proxy changes the reply of the real slurmrestd on the way.
    let strange: number | null = null;
    const change = (reply: string): string => {
      const { jobs, ...others } = JSON.parse(reply) as { jobs?: { job_id: number }[] };
      const changed = jobs?.map((job) =>
        job.job_id === strange ? { ...job, job_state: { is: 'odd' } } : job,
      );
      return JSON.stringify({ ...others, jobs: changed && [{ user_name: 'eve' }, ...changed] });
    };
    const proxy = createPlainServer((req, res) => {
      const headers = { ...req.headers, connection: 'keep-alive' };
      const url = cluster.restUrl + (req.url ?? '/');
      const passed = request(url, { method: req.method, headers, agent: false }, (reply) => {
        const told = readText(reply).then((text) => (req.method === 'GET' ? change(text) : text));
        told.then(
          (text) => {
            res.writeHead(reply.statusCode ?? 500, { 'Content-Type': 'application/json' });
            res.end(text);
          },
          () => res.destroy(),
        );
      });
      passed.on('error', () => res.destroy());
      req.pipe(passed);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    try {
      const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      await withStack({ ...api.viaRest(), JR_SLURMRESTD_URL: url }, async (stack) => {
        const { json: odd } = await stack.submit({ command_key: 'shell', command: untilTold });
        await stack.until(odd.job_id, 'RUNNING');
        strange = odd.slurm_job_id;
        writeFileSync(join(stack.root, 'results', String(odd.job_id), 'end'), '');
        const inSlurm = () => cluster.command('squeue', '-h', '-j', String(strange), '-o', '%T');
        await until('it has ended', async () => (await inSlurm()) === '');
        expect(await stack.shell('true')).toMatchObject({ status: 'COMPLETED' });
        await until('it is reported', () => stack.stderr.includes('job_state'));
        expect(stack.stderr.match(/job_state/g)).toHaveLength(1);
        const { json } = await stack.call('GET', `/jobs/${odd.job_id}`);
        expect(json.status).toBe('RUNNING');
        strange = null;
        expect(await stack.finish(odd.job_id)).toMatchObject({ status: 'COMPLETED', exit_code: 0 });
      });
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });

  test('the API reaches slurmrestd over TLS, and only with a valid certificate', async () => {
    const [key, cert] = [join(cluster.root, 'tls.key'), join(cluster.root, 'tls.crt')];
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=test'],
        ...['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
      ],
      { stdio: 'ignore' },
    );
    const proxy = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (req, res) => {
      const { method, headers } = req;
      const options = { method, headers: { ...headers, connection: 'keep-alive' }, agent: false };
      const passed = request(cluster.restUrl + (req.url ?? '/'), options, (reply) => {
        res.writeHead(reply.statusCode ?? 500, reply.headers);
        reply.pipe(res);
      });
      passed.on('error', () => res.destroy());
      req.pipe(passed);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    try {
      const url = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      const settings = { ...api.viaRest(), JR_SLURMRESTD_URL: url };
      expect(await refused(settings)).toMatch(
        /^jobrunner: JR_SLURMRESTD_URL: .*(DEPTH_ZERO_SELF_SIGNED_CERT|self-signed)/,
      );
      await withStack({ ...settings, NODE_EXTRA_CA_CERTS: cert }, async (stack) => {
        expect(await stack.shell('id -un')).toMatchObject({ log: 'runner\n', status: 'COMPLETED' });
      });
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });
});

describe('with JR_SLURM_USER, by sudo', () => {
  const rule = () => join('/etc/sudoers.d', basename(cluster.root));
  let stack: LiveStack;

  beforeAll(async () => {
    const programs = ['sbatch', 'scancel', 'scontrol'].map((name) => `/usr/bin/${name}`);
    // Other tests use sudo meanwhile, so the rule must appear in one step.
    const draft = `${rule()}.new`;
    writeFileSync(
      draft,
      `Defaults!${programs.join(',')} env_keep += "SLURM_CONF SLURM_TIME_FORMAT", !requiretty\n` +
        `jobrunner ALL=(runner) NOPASSWD: ${programs.join(', ')}\n`,
    );
    chmodSync(draft, 0o440);
    renameSync(draft, rule());
    stack = await api.start({
      ...api.viaCommands(),
      JR_SLURM_USER: 'runner',
      JR_SLURM_GROUP: 'runner',
    });
  });
  afterAll(async () => {
    await stack?.remove();
    rmSync(rule(), { force: true });
  });

  test('jobs run as that user, who cannot read the API’s own files', async () => {
    const { root } = stack;
    const job = await stack.shell(
      `id -un; echo $SLURM_JOB_ACCOUNT; mkdir d; echo w >d/model.pt; ls ${root}/secrets ${root}/db || echo closed`,
    );
    expect(job).toMatchObject({ status: 'COMPLETED' });
    expect(job.log).toMatch(/^runner\nphys\n(.*Permission denied\n){2}closed\n$/);
    const { text } = await stack.call('GET', `/outputs/by_job/${job.job_id}`);
    expect(text).toContain('d/model.pt');
    expect((await stack.call('DELETE', `/jobs/${job.job_id}`)).status).toBe(204);
  });

  test('a job is held, released, requeued and cancelled as that user', async () => {
    const { json: job } = await stack.submit({
      command_key: 'shell',
      command: untilTold,
      mem_gb: 0.1,
      priority: 300,
    });
    await stack.until(job.job_id, 'RUNNING');
    const act = async (what: string) =>
      (await stack.call('POST', `/jobs/${job.job_id}/${what}`)).status;
    const inSlurm = () =>
      cluster.command('squeue', '-h', '-j', String(job.slurm_job_id), '-o', '%u %T %r %y');
    expect(await act('requeue')).toBe(200);
    await stack.until(job.job_id, 'PENDING');
    expect(await act('hold')).toBe(200);
    expect(await inSlurm()).toMatch(/^runner PENDING JobHeldUser/);
    expect(await act('release')).toBe(200);
    expect(await inSlurm()).toMatch(/^runner PENDING (?!JobHeld).* 300$/);
    expect(await act('cancel')).toBe(200);
    expect(await stack.finish(job.job_id)).toMatchObject({ status: 'CANCELLED' });
  });
});

async function refused(settings: Record<string, string>): Promise<string> {
  const [port] = await freePorts(1);
  const own = { JR_PORT: String(port), JR_ROOT: await ownedRoot() };
  const { code, stderr } = await runStackOnce({ JR_SLURM_MODE: 'external', ...own, ...settings });
  await rm(own.JR_ROOT, { recursive: true });
  expect(code).toBe(2);
  return stderr.trim();
}

test('a missing requirement stops the start with one line', async () => {
  expect(await refused({ PATH: '/nowhere' })).toMatch(
    /^jobrunner: JR_SLURM_MODE: .*PATH .*sbatch, squeue/,
  );
  expect(await refused({ JR_SLURM_CONF: '/nowhere/slurm.conf' })).toMatch(
    /^jobrunner: JR_SLURM_CONF: .*\/nowhere\/slurm\.conf$/,
  );
  expect(await refused({ SLURM_CONF: '/nowhere/slurm.conf' })).toMatch(
    /^jobrunner: JR_SLURM_MODE: .*JR_SLURM_CONF .*slurm\.conf: /,
  );
  expect(await refused({ ...api.viaRest(), JR_SLURM_GROUP: '' })).toMatch(
    /JR_SLURM_GROUP: (?!.*\broot\b)/,
  );
  expect(await refused({ ...api.viaRest(), JR_SLURM_GROUP: 'root' })).toMatch(
    /JR_SLURM_GROUP: .*\broot\b/,
  );
  expect(await refused({ ...api.viaRest(), JR_SLURM_PARTITION: 'x' })).toMatch(/partition x\b/);
  expect(await refused({ ...api.viaRest(), JR_SLURMRESTD_URL: 'http://127.0.0.1:1' })).toMatch(
    /^jobrunner: JR_SLURMRESTD_URL: .*\(ECONNREFUSED\)$/,
  );
});
