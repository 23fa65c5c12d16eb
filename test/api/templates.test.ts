import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ErrorBody } from '../../src/http/error-body.js';
import { refusal } from '../refusal.js';
import { TestApi } from './api.js';

interface Command {
  command_key: string;
  replaces_builtin: boolean;
  problem?: string;
  warnings: string[];
  description?: string;
}
type Commands = { commands: Command[]; problem?: string } & ErrorBody;

let api: TestApi;
let work: string;
let folder: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'jr-own-'));
  folder = join(work, 'templates');
  api = await TestApi.start({ JR_TEMPLATES: folder });
});
afterAll(async () => {
  await api.close();
  await rm(work, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function make(key: string, json: object | string, script = 'true'): Promise<void> {
  await mkdir(join(folder, key), { recursive: true });
  const text = typeof json === 'string' ? json : JSON.stringify(json);
  await writeFile(join(folder, key, 'template.json'), text);
  await writeFile(join(folder, key, 'job.sh'), script);
}

const list = async () => (await api.call<Commands>('GET', '/commands')).json;
const find = async (key: string) => (await list()).commands.find((one) => one.command_key === key);
const submit = (fields: object) => api.call('POST', '/jobs', fields);

test('a folder that is made later counts at once', async () => {
  expect((await list()).problem).toContain('JR_TEMPLATES');
  expect((await submit({ command_key: 'mine' })).status).toBe(404);
  await make('mine', { description: 'x' });
  expect((await list()).problem).toBeUndefined();
  expect((await submit({ command_key: 'mine' })).status).toBe(201);
});

test('a broken template tells its problem, and the others stay usable', async () => {
  await make('broken', '{\n"description": "x",\n"agrs": "none"}');
  await make('mine', { description: 'mine' });
  expect((await find('broken'))?.problem).toContain('template.json, line 3: agrs');
  expect(await find('mine')).toMatchObject({ description: 'mine', replaces_builtin: false });
  const { status, json } = await submit({ command_key: 'broken' });
  expect(status).toBe(422);
  expect(json.error).toEqual(refusal('unprocessable', 'command_key'));
  expect(json.error.details).toMatchObject({ problems: [{ file: 'template.json', line: 3 }] });
  await make('broken', { description: 'repaired' });
  expect(await find('broken')).not.toHaveProperty('problem');
  expect((await submit({ command_key: 'broken' })).status).toBe(201);
});

test('an unknown placeholder and a syntax error are refused before a job is made', async () => {
  for (const script of ['echo {{foo}}', 'if true; then']) {
    await make('mine', { description: 'x' }, script);
    const { status, json } = await submit({ command_key: 'mine' });
    expect([status, json.error]).toEqual([422, refusal('unprocessable', 'command_key')]);
  }
});

test('a template in place of a built-in one says so', async () => {
  expect(await find('shell')).toMatchObject({ replaces_builtin: false });
  await make('shell', { description: 'mine' }, 'echo "{{params}}"');
  const shell = await find('shell');
  expect(shell).toMatchObject({ replaces_builtin: true, description: 'mine' });
  expect(shell?.warnings).toHaveLength(1);
});

test('a parameter without a value is empty only where the template says so', async () => {
  const params = (property: object) => ({
    description: 'x',
    params: { type: 'object', properties: { x: property }, additionalProperties: false },
  });
  await make('mine', params({}), 'echo {{params.x}}');
  const refused = await submit({ command_key: 'mine' });
  expect([refused.status, refused.json.error]).toEqual([400, refusal('bad_request', 'params.x')]);
  expect((await submit({ command_key: 'mine', params: { x: 1 } })).status).toBe(201);
  await make('mine', params({ default: '' }), 'echo {{params.x}}');
  expect((await submit({ command_key: 'mine' })).status).toBe(201);
});
