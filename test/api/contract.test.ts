import { Validator } from '@seriousme/openapi-schema-validator';
import type { Router } from 'express';
import type { Endpoint, Role } from '../../src/http/api.js';
import { TestApi } from './api.js';

let api: TestApi;
let reader: { Authorization: string };
let user: { Authorization: string };
beforeAll(async () => {
  api = await TestApi.start({ JR_JOIN_PORT: '6899' });
  reader = await api.tokenOf('rita', 'reader');
  user = await api.tokenOf('ulla');
});
afterAll(() => api.close());

interface Layer {
  slash: boolean;
  route?: { path: string; methods: Record<string, boolean> };
  handle: Partial<Router>;
}

/** Every method and path that Express has, wherever they are mounted. */
function mounted(stack: readonly Layer[]): string[] {
  return stack.flatMap(({ slash, route, handle }) => {
    if (route)
      return Object.keys(route.methods)
        .filter((method) => method !== '_all')
        .map((method) => `${method} ${route.path.replaceAll(/:(\w+)/g, '{$1}')}`);
    if (handle.stack === undefined) return [];
    // A prefix would hide part of the paths.
    expect(slash).toBe(true);
    return mounted(handle.stack as unknown as Layer[]);
  });
}

interface Operation {
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: { properties: object; required: string[] } }> };
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

const nameOf = ({ method, path }: Endpoint) => `${method} ${path}`;

describe('GET /openapi.json', () => {
  test('is valid OpenAPI 3.1, for everyone', async () => {
    const response = await fetch(`${api.url}/openapi.json`);
    expect(response.status).toBe(200);
    const document = (await response.json()) as Record<string, unknown>;
    const { valid, errors } = await new Validator().validate(document);
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    expect(document).toMatchObject({ openapi: '3.1.0' });
  });

  test('describes exactly the routes that Express has', async () => {
    const { json } = await api.call<Document>('GET', '/openapi.json');
    const described = Object.entries(json.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    const routes = mounted(api.express.router.stack as unknown as Layer[]);
    expect(routes.length).toBeGreaterThan(60);
    expect(described.toSorted()).toEqual(routes.toSorted());
    expect(api.endpoints.map(nameOf).toSorted()).toEqual(routes.toSorted());
  });

  test('has no dangling $ref, and describes all parameters of paths', async () => {
    const { json, text } = await api.call<Document>('GET', '/openapi.json');
    for (const [, name = ''] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g))
      expect(json.components.schemas).toHaveProperty(name);
    expect(text).not.toContain('#/$defs/');
    for (const [path, methods] of Object.entries(json.paths))
      for (const { parameters = [] } of Object.values(methods))
        expect(parameters.filter((one) => one.in === 'path').map((one) => one.name)).toEqual(
          [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
        );
  });

  test('describes fields that arrive as text as the values in them', async () => {
    const { json } = await api.call<Document>('GET', '/openapi.json');
    const schema = json.paths['/jobs']?.['post']?.requestBody?.content['application/json']?.schema;
    expect(schema?.properties).toMatchObject({
      gpus: { type: 'number', minimum: 0 },
      args: { type: 'array', items: { type: 'string' } },
      priority: { type: 'integer', default: 100 },
    });
    expect(schema?.required).toEqual(['command_key']);
    const listed = json.paths['/jobs']?.['get']?.parameters ?? [];
    const limit = listed.find(({ name }) => name === 'limit');
    expect(limit).toMatchObject({
      in: 'query',
      required: false,
      schema: { type: 'string', default: '100' },
    });
  });
});

describe('roles', () => {
  /** A request to the endpoint; its parameters name nothing that exists. */
  async function ask({ method, path }: Endpoint, headers: Record<string, string>) {
    const url = api.url + path.replaceAll(/\{\w+\}/g, '1');
    const response = await fetch(url, { method: method.toUpperCase(), headers });
    await response.arrayBuffer();
    return response.status;
  }

  test('each endpoint has its intended role', () => {
    const of = (role: Role) => api.endpoints.filter((one) => one.role === role);
    const names = (role: Role) => of(role).map(nameOf).toSorted();
    expect(names('public')).toEqual(['get /', 'get /health', 'get /openapi.json']);
    expect(names('form')).toEqual(['post /api/submit']);
    expect(names('admin')).toEqual([
      'delete /tokens/{id}',
      'delete /users/{user}',
      'get /audit',
      'get /ingest',
      'get /ingest/jobs-file',
      'get /tokens',
      'get /users',
      'post /gpus/{index}/pause',
      'post /gpus/{index}/resume',
      'post /ingest/{source}/pause',
      'post /ingest/{source}/resume',
      'post /nodes/{name}/drain',
      'post /nodes/{name}/gpus/{index}/pause',
      'post /nodes/{name}/gpus/{index}/resume',
      'post /nodes/{name}/resume',
      'post /tokens',
      'post /tokens/revoke',
      'put /users/{user}/limits',
    ]);
    expect(of('reader').filter(({ method }) => method !== 'get')).toEqual([]);
    expect(of('user').filter(({ method }) => method === 'get')).toEqual([]);
    expect(of('worker').filter(({ path }) => !path.startsWith('/workers/'))).toEqual([]);
  });

  test('without a token, all but the public endpoints answer 401', async () => {
    const open = [];
    for (const spec of api.endpoints.filter(({ role }) => role !== 'form'))
      if ((await ask(spec, {})) !== 401) open.push(nameOf(spec));
    expect(open.toSorted()).toEqual(['get /', 'get /health', 'get /openapi.json']);
    const form = new FormData();
    form.append('code', new Blob(['print(1)']), 'a.py');
    form.append(
      'config_file',
      new Blob([
        JSON.stringify({ user_id: 'ulla', expected_time: 1, competition_id: 'c', project_id: 'p' }),
      ]),
      'c.json',
    );
    const submitted = await fetch(`${api.url}/api/submit`, { method: 'POST', body: form });
    expect(submitted.status).toBe(401);
  });

  test('a user’s token gets 403 on the endpoints of admins, and on no others', async () => {
    const refused = [];
    for (const spec of api.endpoints.filter(({ role }) => !['worker', 'form'].includes(role)))
      if ((await ask(spec, user)) === 403) refused.push(spec.role);
    expect(new Set(refused)).toEqual(new Set(['admin']));
    expect(refused).toHaveLength(api.endpoints.filter(({ role }) => role === 'admin').length);
  });

  test('a reader’s token gets 403 on every endpoint that changes something', async () => {
    const refused = [];
    for (const spec of api.endpoints.filter(({ role }) => !['worker', 'form'].includes(role)))
      if ((await ask(spec, reader)) === 403) refused.push(spec.role);
    expect(new Set(refused)).toEqual(new Set(['user', 'admin']));
    const expected = api.endpoints.filter(({ role }) => role === 'user' || role === 'admin');
    expect(refused).toHaveLength(expected.length);
  });

  test('no user’s token opens an endpoint of workers', async () => {
    for (const spec of api.endpoints.filter(({ role }) => role === 'worker'))
      expect(await ask(spec, user)).toBe(401);
  });

  test('a path without an endpoint asks for a token first', async () => {
    expect((await fetch(`${api.url}/nowhere`)).status).toBe(401);
    const reply = await api.call('GET', '/nowhere');
    expect(reply.status).toBe(404);
    expect(reply.json.error.code).toBe('not_found');
  });
});
