import { TestApi } from './api.js';

let api: TestApi;
beforeAll(async () => {
  api = await TestApi.start();
});
afterAll(() => api.close());

async function submitted(): Promise<number> {
  const { json } = await api.submit({ cpus: 2, priority: 7, env: { LR: '0.1' }, name: 'first' });
  return json.job_id;
}

test('a rerun takes changed fields, as JSON or as a form', async () => {
  const id = await submitted();
  const { status, json } = await api.call('POST', `/jobs/${id}/rerun`, {
    cpus: 3,
    env: { LR: '0.2' },
  });
  expect(status).toBe(201);
  expect(json).toMatchObject({
    command: 'true',
    cpus: 3,
    priority: 7,
    name: 'first',
    env: { LR: '0.2' },
  });

  const form = new FormData();
  form.set('mem_gb', '0.5');
  const again = await api.call('POST', `/jobs/${id}/rerun`, form);
  expect(again.json).toMatchObject({ cpus: 2, mem_gb: 0.5, priority: 7, env: { LR: '0.1' } });
});

test('null restores a field’s default', async () => {
  const id = await submitted();
  const { json } = await api.call('POST', `/jobs/${id}/rerun`, { priority: null, name: null });
  expect(json).toMatchObject({ cpus: 2, priority: 100, name: 'shell' });
});

test('a rerun refuses a field that does not exist', async () => {
  const id = await submitted();
  const { status, json } = await api.call('POST', `/jobs/${id}/rerun`, { cpu: 3 });
  expect([status, json.error.code]).toEqual([400, 'bad_request']);
  expect(json.error.message).toContain('cpu');
});

test.each(['cancel', 'hold', 'requeue'])(
  '%s refuses fields, which it would ignore',
  async (act) => {
    const id = await submitted();
    const { status, json } = await api.call('POST', `/jobs/${id}/${act}`, { signal: 'INT' });
    expect([status, json.error.code]).toEqual([400, 'bad_request']);
    expect((await api.call('GET', `/jobs/${id}`)).json.status).toBe('PENDING');
  },
);
