import type { z } from 'zod';
import type { Endpoint, Role } from './api.js';
import { errorsOf } from './contract.js';
import { errorBody, errorBodyWithDetail } from './error-body.js';
import { statusOf } from './error-status.js';
import { SchemaCollection, type JsonSchema } from './json-schema.js';

const callers: Record<Role, string> = {
  public: 'Anyone may call this, without a token.',
  reader: 'Any valid token may call this.',
  user: 'Any valid token but a reader’s may call this.',
  admin: 'The token of an admin may call this.',
  worker: 'The token of a worker node may call this.',
  form: 'Any valid token but a reader’s may call this, in the header or in the form.',
};

export interface OpenApiDocument {
  [part: string]: unknown;
  openapi: string;
  paths: Record<string, Record<string, object>>;
}

/** Makes the OpenAPI 3.1 document of these endpoints. */
export function describeApi(
  endpoints: readonly Endpoint[],
  info: { title: string; version: string; description: string },
): OpenApiDocument {
  const schemas = new SchemaCollection();
  const paths: Record<string, Record<string, object>> = {};
  for (const spec of endpoints)
    (paths[spec.path] ??= {})[spec.method] = describeOperation(spec, schemas);
  return {
    openapi: '3.1.0',
    info,
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: schemas.components,
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  };
}

function describeOperation(spec: Endpoint, schemas: SchemaCollection): object {
  const { method, path, role, summary, params, query, headers, body } = spec;
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  const parameters = [
    ...parametersOf('path', params, schemas),
    ...parametersOf('query', query, schemas),
    ...parametersOf('header', headers, schemas),
  ];
  return {
    operationId: [method, ...words].join('_'),
    tags: [words[0] ?? 'service'],
    summary,
    description: callers[role],
    security: { public: [], form: [{ token: [] }, {}] }[role as string] ?? [{ token: [] }],
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: body.required,
        content: mapValues(body.content, (schema) => ({ schema: schemas.input(schema) })),
      },
    }),
    responses: { ...successes(spec, schemas), ...failures(spec, schemas) },
  };
}

function parametersOf(
  location: 'path' | 'query' | 'header',
  schema: z.ZodType | undefined,
  schemas: SchemaCollection,
): object[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemas.input(schema) as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...field }]) => ({
    name,
    in: location,
    required: location === 'path' || required.includes(name),
    ...(description !== undefined && { description }),
    schema: field,
  }));
}

function successes({ reply }: Endpoint, schemas: SchemaCollection): object {
  const { content, headers } = reply;
  return mapValues(reply.statuses, (description) => ({
    description,
    ...(Object.keys(headers).length > 0 && {
      headers: mapValues(headers, (text) => ({ description: text, schema: { type: 'string' } })),
    }),
    ...(content && {
      content: { [content.type]: content.schema ? { schema: schemas.output(content.schema) } : {} },
    }),
  }));
}

/** Makes one response for each status, with its codes; `default` is for internal errors. */
function failures(spec: Endpoint, schemas: SchemaCollection): object {
  const schema = schemas.output(spec.withDetail ? errorBodyWithDetail : errorBody);
  const content = { 'application/json': { schema } };
  const codes = errorsOf(spec);
  const known = codes.map((code): [number, object] => {
    const alike = codes.filter((other) => statusOf[other] === statusOf[code]);
    return [
      statusOf[code],
      { description: alike.map((name) => `\`${name}\``).join(', '), content },
    ];
  });
  return {
    ...Object.fromEntries(known),
    default: { description: '`internal`: the service log has the reason.', content },
  };
}

function mapValues<T, U>(object: Readonly<Record<string, T>>, map: (value: T) => U) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));
}
