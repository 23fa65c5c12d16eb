import { z } from 'zod';

export type JsonSchema = Record<string, unknown>;

/**
 * Collects the JSON Schemas of an OpenAPI document; a schema with an `id` in its `meta` is listed
 * once, by that name.
 */
export class SchemaCollection {
  readonly components: Record<string, JsonSchema> = {};

  /** Returns the schema of input: text fields as text, defaults optional. */
  input(schema: z.ZodType): JsonSchema {
    return this.#convert(schema, 'input');
  }

  /** Returns the schema of output. */
  output(schema: z.ZodType): JsonSchema {
    return this.#convert(schema, 'output');
  }

  #convert(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
    const converted = z.toJSONSchema(schema, {
      io,
      // Functions check some fields; their JSON Schema is as exact as it can be.
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => {
        if (io === 'input') addDefault(zodSchema, jsonSchema);
        delete jsonSchema.id;
      },
    });
    const { $defs, ...own } = converted;
    delete own.$schema;
    for (const [name, part] of Object.entries($defs ?? {}))
      this.components[name] = withReferences(part) as JsonSchema;
    return withReferences(own) as JsonSchema;
  }
}

/** Restores a default that zod omits because it belongs to the parsed value, not to the text. */
function addDefault(schema: z.core.$ZodType, json: z.core.JSONSchema.BaseSchema): void {
  const { def } = schema._zod;
  if (def.type !== 'default' || json.default !== undefined) return;
  const { defaultValue: value } = def as z.core.$ZodDefaultDef;
  const isText = json.type === 'string' && typeof value !== 'string';
  if (isText && typeof value !== 'number' && typeof value !== 'boolean') return;
  json.default = isText ? String(value) : value;
}

function withReferences(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withReferences);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      key,
      key === '$ref' && typeof part === 'string'
        ? part.replace('#/$defs/', '#/components/schemas/')
        : withReferences(part),
    ]),
  );
}
