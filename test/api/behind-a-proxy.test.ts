import { createHash } from 'node:crypto';
import { appendFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { json as jsonOf } from 'node:stream/consumers';
import { TestApi, token } from './api.js';
import { clientAddress, Proxy } from './proxy.js';

// The blocks of docs/behind-a-proxy.md, word for word but for ports and files.

const headers = { Authorization: `Bearer ${token}` };

describe.each(['nginx', 'caddy'] as const)('behind %s', (kind) => {
  let api: TestApi;
  let proxy: Proxy;
  beforeAll(async () => {
    api = await TestApi.start({
      JR_TRUSTED_PROXIES: '127.0.0.1',
      JR_PUBLIC_URL: 'https://jobs.example.com',
      JR_PROXY_WAIT: '1',
    });
    proxy = await Proxy[kind](api.port);
  });
  afterAll(async () => {
    await proxy.close();
    await api.close();
  });

  test('an upload of many megabytes is stored', async () => {
    const bytes = Buffer.alloc(5_000_000, 'data');
    const sha = createHash('sha256').update(bytes).digest('hex');
    const answer = await proxy.ask('PUT', `/datasets/${sha}`, headers, bytes);
    expect(answer.statusCode).toBe(201);
    expect(await jsonOf(answer)).toMatchObject({ sha256: sha, size: bytes.length });
  });

  test('a log arrives while the job runs', async () => {
    const { json } = await api.submit();
    api.slurm.start(json.slurm_job_id);
    const log = join(api.layout.jobLogs, String(json.job_id), 'stdout.log');
    await mkdir(dirname(log), { recursive: true });
    await appendFile(log, 'first words\n');
    const answer = await proxy.ask('GET', `/jobs/${json.job_id}/log/stream`, headers);
    let said = '';
    for await (const piece of answer) {
      said += String(piece);
      // A proxy that kept the first words back would keep the test waiting for ever.
      if (said.includes('first words')) api.slurm.end(json.slurm_job_id);
    }
    expect(said).toMatch(/data: first words\n.*event: end\ndata: .*COMPLETED/s);
  });

  test('a long wait ends with the job as it is', async () => {
    const { json } = await api.submit();
    const answer = await proxy.ask('GET', `/jobs/${json.job_id}?wait=300`, headers);
    expect(answer).toMatchObject({ statusCode: 200, headers: { 'retry-after': '0' } });
    expect(await jsonOf(answer)).toMatchObject({ status: 'PENDING' });
  });

  test('the client’s own address is seen, whatever it says', async () => {
    const form = { ...headers, 'Content-Type': 'application/json' };
    const pretended = { ...form, 'X-Forwarded-For': '198.51.100.7' };
    const body = Buffer.from(JSON.stringify({ user: 'ulla' }));
    expect((await proxy.ask('POST', '/tokens', pretended, body)).statusCode).toBe(201);
    const { json } = await api.call<{ audit: { address: string }[] }>('GET', '/audit');
    expect(json.audit[0]?.address).toBe(clientAddress);
  });

  test('a browser may use the public name', async () => {
    const origin = { ...headers, Origin: 'https://jobs.example.com' };
    expect((await proxy.ask('GET', '/jobs', origin)).statusCode).toBe(200);
    const other = { ...headers, Origin: 'https://evil.example' };
    expect((await proxy.ask('GET', '/jobs', other)).statusCode).toBe(403);
  });
});
