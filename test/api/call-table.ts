import { z } from 'zod';
import type { Endpoint, Role } from '../../src/http/api.js';

const tokens: Record<Role, string> = {
  public: 'none',
  reader: 'any',
  user: 'a user’s',
  admin: 'an admin’s',
  worker: 'a worker’s',
  form: 'a user’s, in the header or the form',
};

/** The table of calls in docs/api.md, by their paths. */
export function callTable(endpoints: readonly Endpoint[]): string {
  const rows = endpoints
    .filter(({ role }) => role !== 'worker')
    .toSorted((a, b) => rankOf(a.path) - rankOf(b.path) || (a.path < b.path ? -1 : 1))
    .map((spec) => `| ${callOf(spec)} | ${tokens[spec.role]} | ${meaningOf(spec)} |`);
  return ['| call | token | does |', '| --- | --- | --- |', ...rows].join('\n');
}

/** The queue server's API comes last. */
const rankOf = (path: string) => (path === '/' || path.startsWith('/api/') ? 1 : 0);

function callOf({ method, path, query, body }: Endpoint): string {
  const asked = namesOf(query).map(({ name }) => `${name}=`);
  const call = `${method.toUpperCase()} ${path}${asked.length > 0 ? `?${asked.join('&')}` : ''}`;
  const [content] = Object.entries(body?.content ?? {});
  if (content === undefined) return `\`${call}\``;
  if (path === '/jobs') return `\`${call}\` ([fields](#the-fields-of-a-job))`;
  const [type, schema] = content;
  const fields = namesOf(schema).map(({ name, required }) => `\`${name}${required ? '' : '?'}\``);
  const what = fields.length > 0 ? fields.join(', ') : type === '*/*' ? 'raw body' : '';
  return `\`${call}\`${what && ` (${what})`}`;
}

function namesOf(schema: z.ZodType | undefined): { name: string; required: boolean }[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
  });
  return Object.keys(properties).map((name) => ({ name, required: required.includes(name) }));
}

/** If there are several statuses of success, each is listed with its meaning. */
function meaningOf({ summary, reply: { statuses } }: Endpoint): string {
  const ways = Object.entries(statuses);
  if (ways.length < 2) return summary;
  return [summary, ...ways.map(([status, meaning]) => `${status}: ${meaning}`)]
    .join('. ')
    .replaceAll('..', '.');
}
